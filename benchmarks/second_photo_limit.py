"""What a second photo adds: the network's gain against that of the best mixture with the photo itself.

    python -m benchmarks.second_photo_limit --data SET [--limit N] [--model DIR] [--output FILE]

The second photo is warped by the landmarks of the bare face; in two rows by what is known in use, where the set knows
it: the landmarks that are believed under a face mask, and those that are found on a face painted without the photo. A
network with other weights for a reference also paints without the photo by these: what they are better at by their
training alone is no gain of the photo's.

P is what the network paints without a reference, R the warped second photo, T the truth. The difference R − P is split
into bands of spatial frequency D_i, and six weights make

    P + Σ w_i D_i,    w = argmin ‖T − P − Σ w_i D_i‖²  over the holes of all crops.

The weights have seen the truth: no other six do better in the sum of squares. It is done once more with R moved onto
the truth by dense optical flow (DIS), which sees the truth too, and the network is given that R as well. A network is
not bound by the mixtures: it may weigh every place by itself.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from kornia.filters import gaussian_blur2d
from torch import Tensor
from tqdm import tqdm

from benchmarks.tables import add_output, publish, table
from examples.mask_removal.held_out import BATCH, HeldOut
from examples.mask_removal.painted_landmarks import painted_landmarks
from examples.mask_removal.painting import paint_quickly
from examples.mask_removal.pipeline import WEIGHTS, load_generator
from examples.mask_removal.updates import merged
from gatedinpaint import InpaintGenerator, composite, image_to_photo
from gatedinpaint.faces import FaceLandmarker, Landmarker
from gatedinpaint.metrics import LPIPS, psnr

SIGMAS = (1.0, 2.0, 4.0, 8.0, 16.0)
_FLOW_SIGMA = 3.0  # of the flow's own smoothing: a face does not tear


class Crops(NamedTuple):
    """All crops with a real second photo, in [−1, 1]."""

    truth: Tensor
    hole: Tensor
    second: Tensor
    """The second photo, warped; 0 where it is not known."""
    known: Tensor
    moved: Tensor
    """The second photo, moved onto the truth; the truth where it is not known."""
    alone: Tensor
    """Painted without the second photo."""
    alone_by_guided: Tensor
    """Painted without the second photo too, but by the weights for a reference."""
    guided: Tensor
    """Painted with it."""
    guided_by_moved: Tensor
    """Painted with it, moved onto the truth."""
    guided_by_believed: Tensor
    """Painted with it, warped onto the landmarks that are believed under a face mask."""
    guided_by_found: Tensor
    """Painted with it, warped onto those that are found on the painted face."""


@torch.inference_mode()
def crops(faces: HeldOut, generator: InpaintGenerator, landmarker: Landmarker) -> Crops:
    """What the generator makes of every face that has a second photo."""
    batches = []
    pairs, with_updates = faces.pairs(), merged(generator).requires_grad_(False)
    for first in tqdm(range(0, len(pairs), BATCH), desc="paint", unit=" batches", leave=False, disable=None):
        some = pairs[first : first + BATCH]
        positions = [pair.position for pair in some]
        plain = faces.batch(positions)
        own = faces.guided(plain, positions, [pair.own for pair in some])
        moved = moved_onto_truth(own.image, own.reference, own.reference_mask)
        by_moved = own._replace(reference=moved * own.reference_mask)
        believed = faces.believed(positions)
        holes = plain.mask[:, 0].numpy() > 0.5
        painted_alone = [
            paint_quickly(generator, image_to_photo(image[None]), hole, size=len(hole))
            for image, hole in zip(plain.image, holes, strict=True)
        ]
        found = [painted_landmarks(landmarker, *x) for x in zip(painted_alone, believed, strict=True)]
        in_use = [faces.guided(plain, positions, [pair.own for pair in some], landmarks=x) for x in (believed, found)]
        painted = [generator(*x).refined.clamp(-1, 1) for x in (plain[:2], own, by_moved, *in_use)]
        painted.insert(1, with_updates(*plain[:2]).refined)
        batches.append(Crops(own.image, own.mask, own.reference, own.reference_mask, moved, *painted))
    if not batches:
        raise ValueError("No face of this set has a second photo: prepare it with --identities.")
    return Crops(*map(torch.cat, zip(*batches, strict=True)))


def bands(x: Tensor, area: Tensor) -> Iterator[Tensor]:
    """x in the area as a sum of bands, the finest first, by Gaussians that see nothing beyond the area."""
    for sigma in SIGMAS:
        size = (2 * round(3 * sigma) + 1,) * 2
        total, count = (gaussian_blur2d(y, size, (sigma, sigma), "constant") for y in (x * area, area))
        coarser = total / count.clamp_min(1e-6) * area
        yield x * area - coarser
        x = coarser
    yield x


def best_mixture(crops: Crops, second: Tensor) -> Tensor:
    """Of what is painted alone with ``second``, by least squares over all holes."""
    area = crops.hole * crops.known
    parts = list(bands(second - crops.alone, area))
    error = ((crops.truth - crops.alone) * area).flatten().double()
    columns = torch.stack([part.flatten().double() for part in parts], dim=1)
    weights = torch.linalg.solve(columns.T @ columns, columns.T @ error).float()
    return crops.alone + torch.einsum("i,i...->...", weights, torch.stack(parts))


def moved_onto_truth(truths: Tensor, seconds: Tensor, knowns: Tensor) -> Tensor:
    """The second photos, filled up with the truth, moved by the optical flow between them and the truth."""
    moved = []
    for truth, second, known in zip(truths, seconds, knowns, strict=True):
        whole = torch.where(known > 0.5, second, truth)
        grey = [cv2.cvtColor(image_to_photo(image[None]), cv2.COLOR_RGB2GRAY) for image in (truth, whole)]
        finder = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        flow = cv2.GaussianBlur(finder.calc(*grey, None), (0, 0), _FLOW_SIGMA)
        y, x = np.mgrid[: flow.shape[0], : flow.shape[1]].astype(np.float32)
        pixels = np.ascontiguousarray(whole.permute(1, 2, 0).numpy())
        looked_up = cv2.remap(pixels, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)
        moved.append(torch.from_numpy(looked_up).permute(2, 0, 1))
    return torch.stack(moved)


def limits(crops: Crops, lpips: Callable[[Tensor, Tensor], Tensor]) -> str:
    """A row for every way to use the second photo; ``lpips`` of two batches, a number for each crop."""

    def figures(result: Tensor) -> tuple[Tensor, Tensor]:
        result = result.clamp(-1, 1)
        filled = composite(result, crops.truth, crops.hole)
        parts = zip(filled.split(BATCH), crops.truth.split(BATCH), strict=True)
        decibels = psnr(result, crops.truth, data_range=2.0, mask=crops.hole)
        return decibels, torch.cat([lpips(some, truth) for some, truth in parts])

    alone = figures(crops.alone)
    results = {
        "painted without it": crops.alone,
        "painted without it, by the weights for a reference": crops.alone_by_guided,
        "painted by the network, given it": crops.guided,
        "the same, with landmarks as believed under a face mask": crops.guided_by_believed,
        "the same, with landmarks as found on the painted face": crops.guided_by_found,
        "painted by the network, given it moved onto the truth": crops.guided_by_moved,
        "best mixture with it": best_mixture(crops, crops.second),
        "best mixture with it, moved onto the truth": best_mixture(crops, crops.moved),
        "the photo itself": crops.alone + (crops.second - crops.alone) * crops.known,
        "the photo itself, moved onto the truth": crops.alone + (crops.moved - crops.alone) * crops.known,
    }
    rows = []
    for name, result in results.items():
        decibels, distances = figures(result)
        gains = [f"{(decibels - alone[0]).mean():+.2f}", f"{100 * (distances.mean() / alone[1].mean() - 1):+.1f} %"]
        if result is crops.alone:
            gains = ["–", "–"]
        rows.append([name, f"{decibels.mean():.2f}", gains[0], f"{distances.mean():.4f}", gains[1]])
    return table(["the hole", "PSNR hole, dB", "gain, dB", "LPIPS alex", "change"], rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="second_photo_limit", description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", required=True, help="training set written by examples.mask_removal.prepare")
    parser.add_argument("--model", type=Path, default=WEIGHTS, metavar="DIR", help="in place of the shipped generator")
    parser.add_argument("--limit", type=int, help="look at so many held-out faces only")
    add_output(parser)
    options = parser.parse_args(arguments)
    try:
        lpips = LPIPS("alex")
        faces = HeldOut(options.data, limit=options.limit)
        found = crops(faces, load_generator(options.model), FaceLandmarker())
    except (ValueError, OSError, RuntimeError) as error:
        print(f"second_photo_limit: {error}", file=sys.stderr)
        return 2
    samples = [faces.faces.samples[pair.position] for pair in faces.pairs()]
    known = sum(bool(sample.get("covered_landmarks")) for sample in samples)
    count = f"{len(samples)} crops of held-out people with a second photo."
    with torch.inference_mode():
        rows = limits(found, lpips)
    publish([rows, f"{count} Of {known} the landmarks under a face mask are known."], options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
