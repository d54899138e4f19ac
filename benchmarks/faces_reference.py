"""Warped references against the truth: pairs of photos of one person, one warped onto the other.

The hole is the lower face of the first photo, whose pixels are known: no face mask is worn. The second photo is warped
onto it, and what it shows in the hole is compared with the truth (mean absolute difference, 0–255). The identities fall
into two halves: constants of the package were chosen on the first, the figures come from the second.

    python -m benchmarks.faces_reference --pairs lfw_pairs_128.tar --manifest manifest.csv
        [--limit 300] [--half report|tuning] [--sheet OUT.png] [--output FILE]

The tar holds aligned photos ``<id>.jpg``; the manifest is a table (CSV) with the columns ``id``, ``tar``, ``identity``.
"""

import argparse
import csv
import itertools
import math
import statistics
import tarfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch

from benchmarks.tables import add_output, place, publish, table
from gatedinpaint.faces import TPS_POINTS, FaceLandmarker, mask_polygon, polygon_hole, warp_reference
from gatedinpaint.image import read_photo, write_photo

STIFF = 1e4  # a regularization at which the spline is an affine map
YAW_BINS = ((0, 15), (15, 30), (30, 180))
CONFIDENCE_BINS = (0, 0.2, 0.4, 0.6, 0.8, 1)
FORMS = ("similarity transform", "affine", "spline", "affine, relit", "spline, relit")


class Side(NamedTuple):
    photo: np.ndarray
    landmarks: np.ndarray
    yaw: float


class Outcome(NamedTuple):
    yaw_difference: float
    errors: dict[str, float]
    stiffened: bool
    similarity: bool
    folded_cells: int
    by_confidence: np.ndarray  # (bins, 2): sum of the errors and number of pixels


def pairs(tar_path: Path, manifest: Path, half: str, limit: int) -> Iterator[tuple[Side, Side]]:
    """(target, reference) of one person each, the same for the same arguments."""
    by_identity = defaultdict(list)
    with manifest.open(newline="") as table:
        for row in csv.DictReader(table):
            if row["tar"] == tar_path.name:
                by_identity[row["identity"]].append(row["id"])
    rng = np.random.default_rng(0)
    identities = sorted(who for who, ids in by_identity.items() if len(ids) > 1)[half == "report" :: 2]
    landmarker = FaceLandmarker()
    with tarfile.open(tar_path) as tar:

        def side(id: str) -> Side | None:
            member = tar.extractfile(f"{id}.jpg")
            assert member is not None
            photo = read_photo(member)
            faces = landmarker.detect(cv2.resize(photo, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC))
            return Side(photo, (faces[0].landmarks + 0.5) / 2 - 0.5, faces[0].yaw) if faces else None

        drawn = (rng.choice(by_identity[identity], 2, replace=False) for identity in rng.permutation(identities))
        found = ((side(first), side(second)) for first, second in drawn)
        yield from itertools.islice(((a, b) for a, b in found if a and b), limit)


def similarity_paste(target: Side, reference: Side) -> np.ndarray:
    """The baseline: rotation, scale and shift, the best for all control points."""
    points = list(TPS_POINTS)
    before, after = (side.landmarks[points].astype(np.float64) @ [1, 1j] for side in (target, reference))
    z = before - before.mean()
    factor = np.vdot(z, after - after.mean()) / np.vdot(z, z).real
    y, x = np.mgrid[: target.photo.shape[0], : target.photo.shape[1]]
    looked_up = factor * (x + 1j * y - before.mean()) + after.mean()
    looked_up_x, looked_up_y = looked_up.real.astype(np.float32), looked_up.imag.astype(np.float32)
    return cv2.remap(reference.photo, looked_up_x, looked_up_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def folded_cells(target: Side, reference: Side) -> int:
    """Cells of 8 × 8 pixels that the map turns over, measured on a reference whose colours are its coordinates."""
    height, width = reference.photo.shape[:2]
    y, x = np.mgrid[:height, :width]
    ramp = np.stack([x * 255 / (width - 1), y * 255 / (height - 1), 0 * x], -1).round().astype(np.uint8)
    places, known = warp_reference(ramp, reference.landmarks, target.landmarks, target.photo.shape[:2])
    corners, known = places[::8, ::8, :2].astype(float), known[::8, ::8]
    across, down = np.diff(corners, axis=1)[:-1], np.diff(corners, axis=0)[:, :-1]
    area = across[..., 0] * down[..., 1] - across[..., 1] * down[..., 0]
    return int(((area <= 0) & known[:-1, :-1] & known[1:, :-1] & known[:-1, 1:]).sum())


def measure(target: Side, reference: Side) -> Outcome:
    size = target.photo.shape[:2]
    arguments = (reference.photo, reference.landmarks, target.landmarks, size)
    hole = polygon_hole(mask_polygon(target.landmarks), size)

    def errors(photo: np.ndarray) -> np.ndarray:
        return np.abs(photo.astype(float) - target.photo)[hole].mean(-1)

    full = warp_reference(*arguments, target=target.photo)
    results = {
        "similarity transform": similarity_paste(target, reference),
        "affine": warp_reference(*arguments, regularization=STIFF).photo,
        "spline": warp_reference(*arguments).photo,
        "affine, relit": warp_reference(*arguments, target=target.photo, regularization=STIFF).photo,
        "spline, relit": full.photo,
    }
    place = np.digitize(full.confidence[hole], CONFIDENCE_BINS[1:-1])
    bins = len(CONFIDENCE_BINS) - 1
    by_confidence = np.stack([np.bincount(place, errors(full.photo), bins), np.bincount(place, minlength=bins)], 1)
    return Outcome(
        abs(target.yaw - reference.yaw),
        {form: float(errors(photo).mean()) for form, photo in results.items()},
        full.folded,
        full.method == "similarity",
        folded_cells(target, reference),
        by_confidence,
    )


def by_yaw(outcomes: list[Outcome]) -> str:
    """A row for every range of yaw differences; the last, of all pairs, tells what each form gains."""
    rows = []
    for low, high in YAW_BINS:
        group = [outcome for outcome in outcomes if low <= outcome.yaw_difference < high]
        name = f"{low}–{high}°" if high < YAW_BINS[-1][1] else f"over {low}°"
        rows.append([name, str(len(group)), *(f"{mean:.2f}" if group else "–" for mean in means(group))])
    first, *others = means(outcomes)
    gains = (f"{abs(100 * (1 - mean / first)):.0f} % {'lower' if mean <= first else 'higher'}" for mean in others)
    compared = (f"{mean:.2f} ({gain})" for mean, gain in zip(others, gains, strict=True))
    rows.append(["all", str(len(outcomes)), f"{first:.2f}", *compared])
    return table(["yaw difference", "pairs", *FORMS], rows)


def means(outcomes: list[Outcome]) -> list[float]:
    return [statistics.fmean(o.errors[form] for o in outcomes) if outcomes else math.nan for form in FORMS]


def by_confidence(outcomes: list[Outcome]) -> str:
    sums = sum(outcome.by_confidence for outcome in outcomes)
    bins = zip(CONFIDENCE_BINS, CONFIDENCE_BINS[1:], sums, strict=False)
    rows = [[f"{low}–{high}", f"{total / max(count, 1):.2f}", f"{count:,.0f}"] for low, high, (total, count) in bins]
    return table(["confidence", "spline, relit", "pixels"], rows)


def notes(outcomes: list[Outcome]) -> str:
    better = statistics.fmean(o.errors[FORMS[-1]] < o.errors[FORMS[0]] for o in outcomes)
    return (
        f"Relit, the spline is better than the similarity transform in {100 * better:.0f} % of the pairs. "
        f"Cells folded over: {sum(o.folded_cells for o in outcomes)}. "
        f"Splines stiffened: {sum(o.stiffened for o in outcomes)}, "
        f"of them replaced by a similarity transform: {sum(o.similarity for o in outcomes)}."
    )


def cost(target: Side, reference: Side) -> str:
    def enlarge(side: Side) -> Side:
        photo = cv2.resize(side.photo, (512, 512), interpolation=cv2.INTER_CUBIC)
        return Side(photo, (side.landmarks + 0.5) * 512 / len(side.photo) - 0.5, side.yaw)

    target, reference = enlarge(target), enlarge(reference)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    medians = []
    for photo in (None, target.photo):
        seconds = []
        for _ in range(10):
            start = time.process_time()
            warp_reference(reference.photo, reference.landmarks, target.landmarks, (512, 512), target=photo)
            seconds.append(time.process_time() - start)
        medians.append(f"{1e3 * statistics.median(seconds):.0f} ms")
    return f"512×512, processor time of one thread: {medians[0]} without target, {medians[1]} with."


def sheet(chosen: list[tuple[Side, Side]]) -> np.ndarray:
    """Rows of: target, reference, similarity pasted into the hole, full result pasted, full result, confidence."""
    rows = []
    for target, reference in chosen:
        size = target.photo.shape[:2]
        hole = polygon_hole(mask_polygon(target.landmarks), size)[..., None]
        full = warp_reference(reference.photo, reference.landmarks, target.landmarks, size, target=target.photo)
        pasted = (np.where(hole, photo, target.photo) for photo in (similarity_paste(target, reference), full.photo))
        shown = np.where(full.known[..., None], full.photo, np.uint8(128))
        confidence = np.repeat((255 * full.confidence).astype(np.uint8)[..., None], 3, -1)
        rows.append(np.concatenate([target.photo, reference.photo, *pasted, shown, confidence], 1))
    half = (len(rows) + 1) // 2
    columns = [np.concatenate(part) for part in (rows[:half], rows[half:]) if part]
    columns = [
        np.pad(c, ((0, columns[0].shape[0] - c.shape[0]), (0, 12), (0, 0)), constant_values=255) for c in columns
    ]
    return np.concatenate(columns, 1)


def main(argv: list[str] | None = None) -> None:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", type=Path, required=True, help="tar of photos")
    parser.add_argument("--manifest", type=Path, required=True, help="CSV table: id, tar, identity")
    parser.add_argument("--limit", type=int, default=300, help="pairs to measure, each of another person")
    parser.add_argument("--half", choices=("report", "tuning"), default="report")
    parser.add_argument("--sheet", type=place, help="picture of ten pairs of small yaw difference and ten of large")
    add_output(parser)
    arguments = parser.parse_args(argv)
    chosen = list(pairs(arguments.pairs, arguments.manifest, arguments.half, arguments.limit))
    if not chosen:
        parser.error(
            f"{arguments.manifest} names no two photos with a face of one person in {arguments.pairs.name}, of the "
            f"half {arguments.half!r} of the people; its columns are id, tar and identity"
        )
    outcomes = [measure(*pair) for pair in chosen]
    publish([by_yaw(outcomes), by_confidence(outcomes), notes(outcomes), cost(*chosen[0])], arguments.output)
    if arguments.sheet:
        sorted_by_yaw = sorted(chosen, key=lambda pair: abs(pair[0].yaw - pair[1].yaw))
        picture = sheet(sorted_by_yaw[: len(chosen) // 2 : max(1, len(chosen) // 20)][:10] + sorted_by_yaw[-10:])
        write_photo(arguments.sheet, picture, overwrite=True)


if __name__ == "__main__":
    main()
