"""How far landmarks are off under a worn face mask, before and after :func:`gatedinpaint.faces.uncover_landmarks`.

    python -m benchmarks.faces_under_mask --data SET [--triplets DIR] [--fit FILE] [--output FILE]

SET is a training set written by ``prepare.py``, which keeps the landmarks that were believed under a drawn face mask.
The table is of its held-out people, in shares of the face's height, and of the photos in DIR, ``*_face.jpg`` and
``*_masked.jpg``, whose face masks others have drawn. ``--fit`` measures the means on the other people of SET and writes
them to FILE, which becomes ``gatedinpaint/faces/under_mask.npy``.
"""

import argparse
import io
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.tables import add_output, folder, publish, table
from examples.mask_removal.data import FaceDataset
from examples.mask_removal.shards import sample_files
from gatedinpaint import read_photo
from gatedinpaint.faces import TPS_POINTS, FaceLandmarker, face_height, mirror_landmarks, uncover_landmarks

PARTS = {
    "all": list(range(478)),
    "points of the warp": list(TPS_POINTS),
    "nose": [1, 4, 5, 98, 327],
    "mouth": [61, 291, 0, 17],
    "chin": [152],
}
LARGEST_ERROR = 0.4
"""In sizes of the face; beyond it another face was found."""


def pairs_of_set(data: str, *, validation: bool) -> list[tuple[np.ndarray, np.ndarray]]:
    """(true, believed) landmarks of a part of a set."""
    faces = FaceDataset(data, validation=validation)
    pairs = []
    for line in tqdm(faces.samples, desc="held out" if validation else "training", leave=False, disable=None):
        if "covered_landmarks" in line:
            files = sample_files(data, line)
            pairs.append((_array(files["npy"]), _array(files["hole.npy"])))
    return pairs


def pairs_of_photos(folder: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """(true, believed) landmarks of photos without and with a drawn face mask."""
    landmarker, pairs = FaceLandmarker(), []
    for path in sorted(folder.glob("*_face.jpg")):
        bare, masked = (
            landmarker.detect(read_photo(photo))
            for photo in (path, path.with_name(path.name.replace("_face", "_masked")))
        )
        if bare and masked:
            pairs.append((bare[0].landmarks, masked[0].landmarks))
    return pairs


def mean_errors(pairs: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Mean of true − believed in sizes of the believed face set upright, (478, 2); every face counts mirrored too."""
    mirrored = [tuple(mirror_landmarks(points, 1) for points in pair) for pair in pairs]
    errors = []
    for pair in [*pairs, *mirrored]:
        true, believed = (points @ np.array([1, 1j]) for points in pair)
        along = believed[263] - believed[33]  # from eye to eye
        errors.append((true - believed) / (believed.std() * along / abs(along)))
    mean = np.mean([error for error in errors if abs(error).mean() < LARGEST_ERROR], axis=0)
    return np.stack([mean.real, mean.imag], axis=1)


def rows(pairs: list[tuple[np.ndarray, np.ndarray]], name: str) -> list[list[str]]:
    """Rows of the table: mean distance of each part from the truth, and how far the chin is too high."""
    result = []
    for form, of in (("as detected", lambda x: x), ("uncovered", uncover_landmarks)):
        errors = np.array([(of(believed) - true) / face_height(true) for true, believed in pairs])
        distances = np.linalg.norm(errors, axis=2)
        cells = [f"{distances[:, part].mean():.4f}" for part in PARTS.values()]
        high = [-_down(true, of(believed) - true) for true, believed in pairs]
        result.append([f"{name} ({len(pairs)})", form, *cells, f"{np.mean(high):+.4f} ± {np.std(high):.4f}"])
    return result


def _down(true: np.ndarray, error: np.ndarray) -> float:
    """The chin's error along the face, in its heights."""
    axis = true[152] - true[10]
    return float(error[152] @ axis / (axis @ axis))


def _array(content: bytes) -> np.ndarray:
    return np.load(io.BytesIO(content)).astype(np.float64)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Landmarks under a worn face mask, as detected and uncovered.")
    parser.add_argument("--data", required=True, help="training set written by prepare.py, with found holes")
    parser.add_argument("--triplets", type=folder, help="folder of *_face.jpg and *_masked.jpg")
    parser.add_argument("--fit", type=Path, help="measure the means, and write them to this .npy file")
    add_output(parser)
    options = parser.parse_args(arguments)
    if options.fit is not None:
        means = mean_errors(pairs_of_set(options.data, validation=False))
        np.save(options.fit, means.astype(np.float16))
        print(f"{options.fit}: written. The table is of what gatedinpaint/faces/under_mask.npy holds.\n")
    measured = rows(pairs_of_set(options.data, validation=True), "held out of the set")
    if options.triplets is not None:
        measured += rows(pairs_of_photos(options.triplets), "drawn by others")
    publish([table(["faces", "landmarks", *PARTS, "chin too high"], measured)], options.output)


if __name__ == "__main__":
    main()
