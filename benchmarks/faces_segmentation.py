"""Holes found in photos with face masks, against the true pixels.

    python -m benchmarks.faces_segmentation [--triplets DIR [--truth-shift N]] [--faces TAR [--limit N]]
        [--photos DIR] [--sheet OUT.png]

- ``--triplets``: a folder of ``NAME_masked.jpg`` and ``NAME_seg.png``, the face mask's pixels in white.
  ``--truth-shift N`` adds the rows against the truth moved by N pixels to the left and up, for sets whose truth lies
  beside the drawn pixels.
- ``--faces``: a tar of aligned bare faces. Face masks of every style are drawn onto them, so their pixels are known
  exactly; the landmarks are found in the drawn photo. The bare faces themselves say how often a bare face passes.
- ``--photos``: a folder of photos with worn face masks without truth: for the sheet only.

Intersection over union, per set and method; "poor" is the share under 0.8. "Refused" are masked faces in which no face
mask was found: they count as 0. The sheet shows, per photo, the polygon (blue), the hole (red) and the quality.
"""

import argparse
import io
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, get_args

import cv2
import numpy as np

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
from gatedinpaint.image import read_photo

POOR = 0.8
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


def photos(folder: Path) -> Iterator[Photo]:
    for path in sorted(folder.iterdir()):
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


def evaluate(title: str, items: Iterator[Photo], landmarker: FaceLandmarker, tiles: list[np.ndarray]) -> None:
    """Print the table's rows of a set, and add its photos to the sheet."""
    scores: dict[str, list[float]] = {"polygon": [], **{method: [] for method in get_args(SegmentationMethod)}}
    undetected, refused, fallen_back = [], [], []
    for item in items:
        faces = landmarker.detect(item.photo)
        if not faces:
            undetected.append(item.name)
            continue
        landmarks = faces[0].landmarks
        for method in get_args(SegmentationMethod) if item.truth is not None else ("contour",):
            found = found_or_none(item.photo, landmarks, method)
            if item.truth is not None:
                scores[method].append(iou(found.hole, item.truth) if found else 0.0)
            if method == "contour":
                tiles.append(tile(item, landmarks, found))
                refused += [item.name] if found is None else []
                fallen_back += [item.name] if found is not None and found.source == "polygon" else []
        if item.truth is not None:
            polygon = polygon_hole(mask_polygon(landmarks), (item.photo.shape[0], item.photo.shape[1]))
            scores["polygon"].append(iou(polygon, item.truth))
    for name, values in scores.items():
        if values:
            v = np.array(values)
            row = f"{len(v):5d} {v.mean():7.3f} {np.median(v):7.3f} {(v < POOR).mean():7.3f} {v.min():7.3f}"
            print(f"{title:20} {name:8} {row}", flush=True)
    for what, names in (("no face found", undetected), ("refused", refused), ("polygon instead", fallen_back)):
        if names:
            print(f"{title:20} {what}: {len(names)}: {', '.join(names[:20])}", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Found holes against true ones.")
    parser.add_argument("--triplets", type=Path)
    parser.add_argument("--truth-shift", type=int, default=0, help="pixels; also measure with the truth moved")
    parser.add_argument("--faces", type=Path)
    parser.add_argument("--limit", type=int, default=100, help="faces taken from the tar")
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--sheet", type=Path)
    options = parser.parse_args(arguments)
    if not (options.triplets or options.faces or options.photos):
        parser.error("give at least one of --triplets, --faces, --photos")
    landmarker, tiles = FaceLandmarker(), list[np.ndarray]()
    print(f"{'set':20} {'method':8} {'faces':>5} {'mean':>7} {'median':>7} {'poor':>7} {'worst':>7}")
    if options.triplets:
        evaluate("triplets", triplets(options.triplets, 0), landmarker, tiles)
        if options.truth_shift:
            moved = triplets(options.triplets, options.truth_shift)
            evaluate(f"triplets, moved by {options.truth_shift}", moved, landmarker, [])
    if options.faces:
        faces = bare_faces(options.faces, options.limit)
        for style in MASK_STYLES:
            evaluate(f"drawn, {style}", drawn(faces, style, landmarker), landmarker, tiles)
        found = [(item, landmarker.detect(item.photo)) for item in faces]
        with_face = [(item.photo, detected[0].landmarks) for item, detected in found if detected]
        alarms = sum(found_or_none(photo, landmarks, "contour") is not None for photo, landmarks in with_face)
        print(f"bare faces taken for masked: {alarms} of {len(with_face)}")
    if options.photos:
        evaluate("photos", photos(options.photos), landmarker, tiles)
    if options.sheet and tiles:
        tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % 8)
        rows = [np.hstack(tiles[i : i + 8]) for i in range(0, len(tiles), 8)]
        cv2.imwrite(str(options.sheet), np.vstack(rows)[..., ::-1])


if __name__ == "__main__":
    main()
