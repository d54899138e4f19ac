"""How many faces are found in a folder of photos, how small they are, and how long it takes.

    python -m benchmarks.faces_landmarks [--photos DIR] [--max-faces N] [--output FILE]

The table is of photos of 12 megapixels, lying and upright, made of the astronaut and of the coffee cup that
scikit-image carries: at which shares of the width the astronaut's face is found on the table beside the cup, and the
processor time.
``--photos`` adds what is found in a folder of yours, and tells of each photo, on standard error, its milliseconds of
processor time and the share of its longer side that each face is wide.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import skimage.data
from PIL import Image

from benchmarks.tables import add_output, publish, table
from gatedinpaint import read_photo
from gatedinpaint.faces import Face, FaceLandmarker
from gatedinpaint.image import FORMATS, Photo

LYING, UPRIGHT = (3000, 4000), (4000, 3000)
RUNS = 3
PLACE = (500, 300)  # of the head on the table: row, column
SHARES = (0.2, 0.1, 0.05, 0.03, 0.02, 0.018, 0.016, 0.014, 0.0)
HEAD, HEAD_WIDTH = (slice(0, 300), slice(80, 380)), 101  # the astronaut's head, and how wide its landmarks are


def timed(landmarker: FaceLandmarker, photo: Photo) -> tuple[list[Face], float]:
    """Faces, and milliseconds of processor time: they hardly depend on what else the machine does."""
    began = time.process_time()
    faces = landmarker.detect(photo)
    return faces, 1e3 * (time.process_time() - began)


def share(face: Face, photo: Photo) -> float:
    return float(np.ptp(face.landmarks[:, 0])) / max(photo.shape[:2])


def scene(face_share: float, size: tuple[int, int]) -> Photo:
    """12 megapixels of a cup of coffee, and on it the astronaut's head with a face of that share of the width."""
    coffee = np.asarray(skimage.data.coffee())[:, : 300 if size == UPRIGHT else 600]
    photo = cv2.resize(coffee, size[::-1], interpolation=cv2.INTER_CUBIC)
    side = round(300 * face_share * size[1] / HEAD_WIDTH)
    interpolation = cv2.INTER_AREA if side < 300 else cv2.INTER_CUBIC
    if side:
        top, left = PLACE
        photo[top : top + side, left : left + side] = cv2.resize(
            np.asarray(skimage.data.astronaut())[HEAD], (side, side), interpolation=interpolation
        )
    return photo


def large_photos(landmarker: FaceLandmarker) -> str:
    """The table: a row for every share of the width, 0 for a photo without a face."""
    rows = []
    for face_share in SHARES:
        cells = [f"a face of {face_share:g}" if face_share else "no face"]
        for size in (LYING, UPRIGHT):
            photo = scene(face_share, size)
            runs = [timed(landmarker, photo) for _ in range(RUNS)]
            found = "yes" if runs[0][0] else "no"
            cells += [found, f"{statistics.median(milliseconds for _, milliseconds in runs) / 1e3:.2f} s"]
        rows.append(cells)
    header = ["share of the width"]
    for height, width in (LYING, UPRIGHT):
        header += [f"{width}×{height}: found", "processor time"]
    return table(header, rows)


def own_photos(landmarker: FaceLandmarker, paths: list[Path]) -> str:
    """One line on standard error for each photo, and a sentence on all."""
    found, times, shares = 0, list[float](), list[float]()
    for path in paths:
        photo = read_photo(path)
        faces, milliseconds = timed(landmarker, photo)
        found += bool(faces)
        times.append(milliseconds)
        here = [share(face, photo) for face in faces]
        shares += here
        listed = " ".join(f"{each:.3f}" for each in here) or "-"
        print(f"{milliseconds:7.1f} ms  {listed:24} {path.name}", file=sys.stderr)
    widths = f", {min(shares):.2f} to {max(shares):.2f} of the longer side wide" if shares else ""
    return (
        f"Photos of people: a face in {found} of {len(paths)}{widths}; "
        f"{statistics.median(times):.0f} ms of processor time each (median)."
    )


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, help="a folder of photos of yours")
    parser.add_argument("--pattern", default="*", help="which files of the folder, such as '*_masked.jpg'")
    parser.add_argument("--max-faces", type=int, default=1)
    add_output(parser)
    options = parser.parse_args(argv)

    paths = list[Path]()
    if options.photos:
        endings = {ending for ending, format in Image.registered_extensions().items() if format in FORMATS}
        paths = sorted(path for path in options.photos.glob(options.pattern) if path.suffix.lower() in endings)
        if not paths:
            parser.error(f"--photos: no photo that matches {options.pattern!r} in {options.photos}")

    landmarker = FaceLandmarker(max_faces=options.max_faces)
    landmarker.detect(np.zeros((64, 64, 3), np.uint8))  # starts MediaPipe
    parts = [large_photos(landmarker)]
    if paths:
        parts.append(own_photos(landmarker, paths))
    publish(parts, options.output)


if __name__ == "__main__":
    main()
