"""How often the mask remover refuses a second photo because the person on it wears a face mask.

    python -m benchmarks.faces_masked_reference [--bare TAR ...] [--limit N] [--masked FOLDER ...]

``--bare`` are tars of aligned faces without face masks, of which N are taken from all over: every refusal is wrong.
``--masked`` are folders of photos with worn face masks (only ``NAME_masked.jpg``, where there are such): every photo
that is not refused is missed. The names are those of the photos that were judged wrongly.
"""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.faces_segmentation import Photo, bare_faces, photos
from benchmarks.tables import folder
from examples.mask_removal.bare_reference import masked_share
from gatedinpaint.faces import FaceLandmarker


def judge(title: str, items: Iterable[Photo], landmarker: FaceLandmarker, *, masked: bool) -> None:
    """Print how many of a set are refused, out of those with a face."""
    wrong, refused, count = [], 0, 0
    for item in items:
        if faces := landmarker.detect(item.photo):
            is_masked = masked_share(item.photo, faces[0].landmarks) is not None
            count, refused = count + 1, refused + is_masked
            wrong += [item.name] if is_masked != masked else []
    share = f"{refused / count:.1%}" if count else "-"
    print(f"{title:26} {'masked' if masked else 'bare':6} {refused:4d} of {count:4d} refused, {share:>6}", flush=True)
    if wrong:
        print(f"    {'missed' if masked else 'wrongly refused'}: {', '.join(wrong[:20])}", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="How often a reference is refused for a face mask.")
    parser.add_argument("--bare", type=Path, nargs="+", default=[], metavar="TAR")
    parser.add_argument("--limit", type=int, default=500, help="faces taken from each tar")
    parser.add_argument("--masked", type=folder, nargs="+", default=[], metavar="FOLDER")
    options = parser.parse_args(arguments)
    if not (options.bare or options.masked):
        parser.error("give at least one of --bare, --masked")
    landmarker = FaceLandmarker()
    for tar in options.bare:
        judge(tar.stem, bare_faces(tar, options.limit), landmarker, masked=False)
    for place in options.masked:
        worn = photos(place, "*_masked.*" if any(place.glob("*_masked.*")) else "*")
        judge(place.name, worn, landmarker, masked=True)


if __name__ == "__main__":
    main()
