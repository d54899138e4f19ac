"""How many faces are found in a folder of photos, how small they are, and how long it takes.

    python -m benchmarks.faces_landmarks --photos DIR [--max-faces N]

One line for each photo: milliseconds, and the share of the photo's longer side that each face is wide. Then the time
for a photo of 12 megapixels with a large face and without any, made of the astronaut and of the coffee cup that
scikit-image carries, and the shares of the width at which the astronaut's face is found on the table beside the cup,
in a photo that lies and in one that stands upright.
"""

import argparse
import statistics
import time
from pathlib import Path

import cv2
import numpy as np
import skimage.data
from PIL import Image

from gatedinpaint import read_photo
from gatedinpaint.faces import Face, FaceLandmarker
from gatedinpaint.image import FORMATS, Photo

LYING, UPRIGHT = (3000, 4000), (4000, 3000)
HEAD, HEAD_WIDTH = (slice(0, 300), slice(80, 380)), 101  # the astronaut's head, and how wide its landmarks are


def timed(landmarker: FaceLandmarker, photo: Photo) -> tuple[list[Face], float]:
    began = time.perf_counter()
    faces = landmarker.detect(photo)
    return faces, 1e3 * (time.perf_counter() - began)


def share(face: Face, photo: Photo) -> float:
    return float(np.ptp(face.landmarks[:, 0])) / max(photo.shape[:2])


def scene(face_share: float, size: tuple[int, int]) -> Photo:
    """12 megapixels of a cup of coffee, and on it the astronaut's head with a face of that share of the width."""
    coffee = np.asarray(skimage.data.coffee())[:, : 300 if size == UPRIGHT else 600]
    photo = cv2.resize(coffee, size[::-1], interpolation=cv2.INTER_CUBIC)
    side = round(300 * face_share * size[1] / HEAD_WIDTH)
    interpolation = cv2.INTER_AREA if side < 300 else cv2.INTER_CUBIC
    if side:
        photo[500 : 500 + side, 300 : 300 + side] = cv2.resize(
            np.asarray(skimage.data.astronaut())[HEAD], (side, side), interpolation=interpolation
        )
    return photo


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--pattern", default="*", help="which files of the folder, such as '*_masked.jpg'")
    parser.add_argument("--max-faces", type=int, default=1)
    options = parser.parse_args(argv)

    landmarker = FaceLandmarker(max_faces=options.max_faces)
    landmarker.detect(np.zeros((64, 64, 3), np.uint8))  # starts MediaPipe
    endings = {ending for ending, format in Image.registered_extensions().items() if format in FORMATS}
    paths = sorted(path for path in options.photos.glob(options.pattern) if path.suffix.lower() in endings)
    found, times = 0, []
    for path in paths:
        photo = read_photo(path)
        faces, milliseconds = timed(landmarker, photo)
        found += bool(faces)
        times.append(milliseconds)
        print(
            f"{milliseconds:7.1f} ms  {' '.join(f'{share(face, photo):.3f}' for face in faces) or '-':24} {path.name}"
        )
    if times:
        print(f"face found in {found} of {len(paths)} photos; median {statistics.median(times):.1f} ms a photo")

    for name, size in (("12 MP", LYING), ("12 MP upright", UPRIGHT)):
        for label, face_share in (("a face of 0.2", 0.2), ("no face", 0.0)):
            photo = scene(face_share, size)
            runs = [timed(landmarker, photo) for _ in range(3)]
            print(f"{name}, {label}: {statistics.median(run[1] for run in runs):.0f} ms, {len(runs[0][0])} found")
        for face_share in (0.1, 0.05, 0.03, 0.02, 0.018, 0.016, 0.014):
            faces, milliseconds = timed(landmarker, scene(face_share, size))
            print(f"{name}, a face of {face_share}: {milliseconds:.0f} ms, {len(faces)} found")


if __name__ == "__main__":
    main()
