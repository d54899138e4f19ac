"""Face landmarks from MediaPipe's Face Landmarker. Only ``_mediapipe`` beneath this file knows MediaPipe."""

from pathlib import Path

from gatedinpaint._optional import require
from gatedinpaint.faces._checks import check_whole
from gatedinpaint.faces._landmark_model import find_face_landmarker_model
from gatedinpaint.faces._mediapipe import MediaPipe
from gatedinpaint.faces._search import find_faces
from gatedinpaint.faces.face import Face
from gatedinpaint.image import Photo, as_photo

_MIN_SIDE, _MAX_SIDE = 16, 32_766
_AT_A_GLANCE = 5  # with room for one only, MediaPipe gives the most face-like candidate, or none if that fails


class FaceLandmarker:
    """Find faces and their 478 landmarks (Face Mesh topology with irises).

    The whole photo is looked at first; that finds faces wider than about a tenth of it. While fewer than ``max_faces``
    are found, the search goes on in overlapping windows down to faces of 2 % of the photo's width (of half its height,
    if it is narrower than that): a glance of the detector alone at each of about a hundred windows, or two hundred if
    it is upright. All of that happens on the photo shrunk to what the networks take. A face that is small, or found in
    a window, is looked at again from close by, which makes its landmarks more accurate; it counts when a plain and a
    mirrored view agree on it.

    An object may be used by many threads, which take turns. MediaPipe starts at the first :meth:`detect`, in the
    process that calls it: an object made before a fork or pickled to a worker starts afresh there.

    Args:
        model_path: the model file; by default :func:`find_face_landmarker_model` looks for it.
        max_faces: most faces to return for a photo; the largest are.
        least: from 0 to 1. Where faces were found, the search for more goes on only as long as those may be this share
            of the largest one's size: the people in front and not the passers-by. 0 looks for all.

    Raises:
        TypeError: max_faces is no whole number.
        ValueError: max_faces under 1, least out of range.
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

    def __init__(self, model_path: str | Path | None = None, *, max_faces: int = 1, least: float = 0.0) -> None:
        max_faces = check_whole(max_faces, name="max_faces", least=1)
        if not 0 <= least <= 1:
            raise ValueError(f"least must be a share of the largest face, from 0 to 1; got {least}.")
        require("mediapipe", "faces")  # before the model is looked for, which may mean a download
        self.max_faces, self.least = max_faces, least
        self._detector = MediaPipe(find_face_landmarker_model(model_path), max(max_faces, _AT_A_GLANCE))

    @property
    def model_path(self) -> Path:
        """The model file."""
        return self._detector.model_path

    def detect(self, photo: Photo) -> list[Face]:
        """Find the faces in a photo: the largest first, an empty list when there are none.

        Args:
            photo: uint8 RGB (H, W, 3), or what :func:`gatedinpaint.image.as_photo` converts: grey, alpha, 16 bits.

        Raises:
            TypeError: the photo is not a numpy array of whole numbers.
            ValueError: the photo is not (H, W), (H, W, 1), (H, W, 2), (H, W, 3) or (H, W, 4), or has a side under 16 or
                over 32,766 pixels; the model file is damaged or another model.
        """
        return find_faces(_checked(photo), self._detector, self.max_faces, least=self.least)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.model_path)!r}, max_faces={self.max_faces})"


def _checked(photo: Photo) -> Photo:
    """The photo, of a size that MediaPipe takes: it aborts the process from 32,767 pixels on."""
    photo = as_photo(photo)
    size = photo.shape[:2]
    if min(size) < _MIN_SIDE:
        raise ValueError(f"photo must be at least {_MIN_SIDE} pixels a side; got {size}. Enlarge it.")
    if max(size) > _MAX_SIDE:
        raise ValueError(f"photo must be at most {_MAX_SIDE} pixels a side; got {size}. Shrink it.")
    return photo
