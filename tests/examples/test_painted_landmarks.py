import numpy as np
import pytest

from examples.mask_removal import pipeline
from examples.mask_removal.painted_landmarks import painted_landmarks
from examples.mask_removal.pipeline import remove_mask
from gatedinpaint import InpaintGenerator
from gatedinpaint.faces import Face, FaceLandmarker, face_height, landmarks_from

PHOTO = np.zeros((256, 256, 3), np.uint8)


@pytest.fixture
def believed(photo: np.ndarray, landmarker: FaceLandmarker) -> np.ndarray:
    return landmarker.detect(photo)[0].landmarks


def test_the_face_that_is_nearest_to_what_was_believed(believed: np.ndarray) -> None:
    near = believed + 0.03 * face_height(believed)
    beside = believed + [0.1 * face_height(believed), 0]
    found = painted_landmarks(landmarks_from([beside, near]), PHOTO, believed)
    np.testing.assert_allclose(found, near, atol=1e-3)


def test_what_was_believed_where_no_face_is_near(believed: np.ndarray) -> None:
    for landmarker in (landmarks_from(lambda photo: []), landmarks_from(believed + 0.2 * face_height(believed))):
        assert painted_landmarks(landmarker, PHOTO, believed) is believed


class Watched:
    """A landmarker that remembers what it was shown."""

    def __init__(self, landmarker: FaceLandmarker) -> None:
        self.landmarker, self.photos = landmarker, []

    def detect(self, photo: np.ndarray) -> list[Face]:
        self.photos.append(photo)
        return self.landmarker.detect(photo)


def test_a_reference_is_warped_onto_what_is_found_on_the_painted_face(
    masked: np.ndarray, reference: np.ndarray, landmarker: FaceLandmarker, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator, watched, onto = InpaintGenerator(2).eval(), Watched(landmarker), []
    channels = pipeline.reference_channels

    def seen_channels(second: np.ndarray, points: np.ndarray, photo: np.ndarray, landmarks: np.ndarray, *rest):
        onto.append(landmarks)
        return channels(second, points, photo, landmarks, *rest)

    monkeypatch.setattr(pipeline, "reference_channels", seen_channels)
    # What the landmarker finds on the painted crop is given, for this generator paints noise.
    monkeypatch.setattr(pipeline, "painted_landmarks", lambda landmarker, painted, believed: believed + 1)
    aligned = remove_mask(masked, generator, watched, reference=reference).faces[0].aligned
    np.testing.assert_array_equal(onto.pop(), aligned.landmarks + 1)
    monkeypatch.undo()
    monkeypatch.setattr(pipeline, "reference_channels", seen_channels)

    shown = len(watched.photos)
    aligned = remove_mask(masked, generator, watched, reference=reference).faces[0].aligned
    *_, painted = watched.photos[shown:]
    assert painted.shape == aligned.photo.shape and not np.array_equal(painted, aligned.photo)


def test_landmarks_of_a_bare_face_are_not_looked_for_again(
    photo: np.ndarray, reference: np.ndarray, landmarker: FaceLandmarker
) -> None:
    hole = np.zeros(photo.shape[:2], bool)
    x, y = landmarker.detect(photo)[0].landmarks.mean(0).astype(int)
    hole[y : y + 20, x : x + 20] = True
    watched = Watched(landmarker)
    remove_mask(photo, InpaintGenerator(2).eval(), watched, reference=reference, hole=hole)
    assert [seen.shape for seen in watched.photos] == [photo.shape, reference.shape]
