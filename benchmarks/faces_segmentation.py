"""Holes found in photos with face masks, against the true pixels.

    python -m benchmarks.faces_segmentation [--triplets DIR [--truth-shift N]] [--faces TAR... [--limit N]]
        [--photos DIR] [--sheet OUT.png] [--output FILE]

- ``--triplets``: a folder of ``NAME_masked.jpg`` and ``NAME_seg.png``, the face mask's pixels in white.
  ``--truth-shift N`` adds a row against the truth moved by N pixels to the left and up, for sets whose truth lies
  beside the drawn pixels.
- ``--faces``: tars of aligned bare faces. Face masks of every style are drawn onto them, so their pixels are known
  exactly; the landmarks are found in the drawn photo. The bare faces themselves say how often a bare face passes.
- ``--photos``: a folder of photos with worn face masks without truth: for their qualities and the sheet.

A row for each set: the mean intersection over union of each method's hole with the true pixels, the worst of the
contour's, and the median of its quality. Masked faces in which no face mask was found count as 0, and are noted below
as refused. The sheet shows, per photo, the polygon (blue), the hole (red) and the quality.
"""

import argparse
import io
import sys
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import NamedTuple

import cv2
import numpy as np

from benchmarks.tables import add_output, folder, place, publish, table
from examples.mask_removal.layouts import PHOTO_ENDINGS
from gatedinpaint.faces import (
    MASK_STYLES,
    FaceLandmarker,
    FaceMask,
    MaskNotFoundError,
    MaskStyle,
    SegmentationMethod,
    draw_face_mask,
    find_face_mask,
    mask_polygon,
    polygon_hole,
)
from gatedinpaint.image import read_photo, write_photo

HEADER = ("set", "faces", "contour", "worst", "k-means", "polygon", "quality")
LOWEST = 3
TILE = 256


class Photo(NamedTuple):
    name: str
    photo: np.ndarray
    truth: np.ndarray | None


def triplets(folder: Path, shift: int) -> Iterator[Photo]:
    for path in sorted(folder.glob("*_masked.jpg")):
        true = read_photo(path.with_name(path.name.replace("_masked.jpg", "_seg.png")))[..., 0] > 127
        truth = np.zeros_like(true)
        truth[: true.shape[0] - shift, : true.shape[1] - shift] = true[shift:, shift:]
        yield Photo(path.stem.removesuffix("_masked"), read_photo(path), truth)


def photos(folder: Path, pattern: str = "*") -> Iterator[Photo]:
    for path in sorted(path for path in folder.glob(pattern) if path.suffix.lower() in PHOTO_ENDINGS):
        yield Photo(path.stem, read_photo(path), None)


def bare_faces(path: Path, limit: int) -> list[Photo]:
    """``limit`` faces spread over the tar."""
    with tarfile.open(path) as tar:
        members = [member for member in tar.getmembers() if member.isfile()]
        chosen = members[:: max(1, len(members) // limit)][:limit]
        files = ((member.name, tar.extractfile(member)) for member in chosen)
        return [Photo(name, read_photo(io.BytesIO(file.read())), None) for name, file in files if file]


def drawn(faces: Sequence[Photo], style: MaskStyle, landmarker: FaceLandmarker) -> Iterator[Photo]:
    for seed, (name, photo, _) in enumerate(faces):
        found = landmarker.detect(photo)
        if found:
            masked, hole = draw_face_mask(photo, found[0].landmarks, style=style, seed=seed, ear_loops=seed % 2 == 1)
            yield Photo(name, masked, hole)


def iou(first: np.ndarray, second: np.ndarray) -> float:
    return float((first & second).sum() / max(1, (first | second).sum()))


def found_or_none(photo: np.ndarray, landmarks: np.ndarray, method: SegmentationMethod) -> FaceMask | None:
    try:
        return find_face_mask(photo, landmarks, method=method)
    except MaskNotFoundError:
        return None


def tile(item: Photo, landmarks: np.ndarray, face_mask: FaceMask | None) -> np.ndarray:
    """The face's surroundings with the outlines of polygon and hole, and a caption."""
    size = (item.photo.shape[0], item.photo.shape[1])
    low, high = landmarks.min(0), landmarks.max(0)
    margin = 0.4 * float((high - low).max())
    left, top = np.maximum(low - margin, 0).astype(int)
    right, bottom = np.minimum(high + margin, size[::-1]).astype(int)
    scale = TILE / max(right - left, bottom - top)
    side = (max(1, int((right - left) * scale)), max(1, int((bottom - top) * scale)))
    picture = cv2.resize(item.photo[top:bottom, left:right], side, interpolation=cv2.INTER_AREA)
    outlines = [(polygon_hole(mask_polygon(landmarks), size), (60, 90, 255))]
    outlines += [(face_mask.hole, (255, 0, 0))] if face_mask else []
    for hole, color in outlines:
        small = cv2.resize(hole[top:bottom, left:right].astype(np.uint8), side, interpolation=cv2.INTER_NEAREST)
        curves, _ = cv2.findContours(small, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        picture = cv2.drawContours(picture, curves, -1, color, 1)
    result = np.full((TILE + 16, TILE, 3), 255, np.uint8)
    result[: side[1], : side[0]] = picture
    caption = item.name[-18:] + (f" {face_mask.quality:.2f} {face_mask.source}" if face_mask else " refused")
    cv2.putText(result, caption, (2, TILE + 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    return result


class Rows(NamedTuple):
    """What is printed: the table's rows, notes on them, and the sheet's pictures."""

    rows: list[list[str]]
    notes: list[str]
    tiles: list[np.ndarray]


def evaluate(title: str, items: Iterator[Photo], landmarker: FaceLandmarker, result: Rows) -> None:
    """Add a set's row, its notes and its photos' pictures to the result."""
    contour, kmeans, polygon, qualities = (list[float]() for _ in range(4))
    undetected, refused, fallen_back = [], [], []
    for item in items:
        faces = landmarker.detect(item.photo)
        if not faces:
            undetected.append(item.name)
            continue
        landmarks = faces[0].landmarks
        found = found_or_none(item.photo, landmarks, "contour")
        result.tiles.append(tile(item, landmarks, found))
        qualities.append(found.quality if found else 0.0)
        refused += [item.name] if found is None else []
        fallen_back += [item.name] if found is not None and found.source == "polygon" else []
        if item.truth is not None:
            clusters = found_or_none(item.photo, landmarks, "kmeans")
            contour.append(iou(found.hole, item.truth) if found else 0.0)
            kmeans.append(iou(clusters.hole, item.truth) if clusters else 0.0)
            size = (item.photo.shape[0], item.photo.shape[1])
            polygon.append(iou(polygon_hole(mask_polygon(landmarks), size), item.truth))
    figures = [shown(fmean, contour), shown(min, contour), shown(fmean, kmeans), shown(fmean, polygon)]
    result.rows.append([title, str(len(qualities)), *figures, shown(median, qualities, digits=2)])
    for what, names in (("no face found", undetected), ("refused", refused), ("polygon instead", fallen_back)):
        if names:
            result.notes.append(f"{title}, {what}: {len(names)}.")
            print(f"{title}, {what}: {', '.join(names)}", file=sys.stderr)
    if not contour and qualities:
        lowest = ", ".join(f"{quality:.2f}" for quality in sorted(qualities)[:LOWEST])
        result.notes.append(f"{title}, lowest qualities: {lowest}.")


def shown(figure: Callable[[list[float]], float], values: list[float], *, digits: int = 3) -> str:
    return f"{figure(values):.{digits}f}" if values else "–"


def bare_as_masked(faces: Sequence[Photo], landmarker: FaceLandmarker) -> str:
    """In how many of the bare faces a face mask is found."""
    with_face = [(item.photo, found[0].landmarks) for item in faces if (found := landmarker.detect(item.photo))]
    alarms = sum(found_or_none(photo, landmarks, "contour") is not None for photo, landmarks in with_face)
    return f"{alarms} of {len(with_face)}"


def write_sheet(path: Path, tiles: list[np.ndarray]) -> None:
    tiles = tiles + [np.full_like(tiles[0], 255)] * (-len(tiles) % 8)
    rows = [np.hstack(tiles[i : i + 8]) for i in range(0, len(tiles), 8)]
    write_photo(path, np.vstack(rows), overwrite=True)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Found holes against true ones.")
    parser.add_argument("--triplets", type=folder, help="folder of *_masked.jpg and *_seg.png")
    parser.add_argument("--truth-shift", type=int, default=0, help="pixels; also measure with the truth moved")
    parser.add_argument("--faces", type=Path, nargs="+", default=[], metavar="TAR", help="aligned bare faces")
    parser.add_argument("--limit", type=int, default=100, help="faces taken from each tar")
    parser.add_argument("--photos", type=folder, help="folder of photos with worn face masks")
    parser.add_argument("--sheet", type=place, help="picture of what is found")
    add_output(parser)
    options = parser.parse_args(arguments)
    if not (options.triplets or options.faces or options.photos):
        parser.error("give at least one of --triplets, --faces, --photos")
    landmarker, result, bare = FaceLandmarker(), Rows([], [], []), list[str]()
    if options.triplets:
        evaluate("triplets", triplets(options.triplets, 0), landmarker, result)
        if shift := options.truth_shift:
            title = f"triplets, truth moved by {shift} pixel{'s' if shift > 1 else ''}"
            moved = Rows(result.rows, result.notes, [])  # the same photos: once on the sheet is enough
            evaluate(title, triplets(options.triplets, shift), landmarker, moved)
    for path in options.faces:
        faces = bare_faces(path, options.limit)
        for style in MASK_STYLES:
            evaluate(f"{path.stem}, {style}", drawn(faces, style, landmarker), landmarker, result)
        bare.append(f"{bare_as_masked(faces, landmarker)} of {path.stem}")
    if options.photos:
        evaluate("worn, without truth", photos(options.photos), landmarker, result)
    if bare:
        result.notes.append(f"Bare faces taken for masked ones: {', '.join(bare)}.")
    publish([table(HEADER, result.rows), "\n".join(f"- {note}" for note in result.notes)], options.output)
    if options.sheet and result.tiles:
        write_sheet(options.sheet, result.tiles)


if __name__ == "__main__":
    main()
