import pickle
import subprocess
import sys

import numpy as np
import pytest

from gatedinpaint.faces import Face, Landmarker, landmarks_from
from gatedinpaint.image import Photo


def detect_in(landmarker: Landmarker, photo: Photo) -> list[Face]:
    return landmarker.detect(photo)


def test_the_same_face_as_from_mediapipe(photo: Photo, face: Face) -> None:
    (given,) = detect_in(landmarks_from(face.landmarks), photo)
    np.testing.assert_array_equal(given.landmarks, face.landmarks)
    assert (given.yaw, given.pitch, given.roll) == pytest.approx((face.yaw, face.pitch, face.roll), abs=0.1)
    assert np.isnan(given.depth).all()
    (given,) = detect_in(landmarks_from(np.column_stack([face.landmarks, face.depth])), photo)
    np.testing.assert_array_equal(given.depth, face.depth)


def test_several_faces_come_largest_first(photo: Photo, face: Face) -> None:
    small, large = face.landmarks, face.landmarks * 2
    for several in ([small, large], np.stack([small, large]), (small, large)):
        found = landmarks_from(several).detect(photo)
        assert [each.landmarks[0, 0] for each in found] == [large[0, 0], small[0, 0]]
    assert landmarks_from([]).detect(photo) == []


def test_a_function_is_asked_for_every_photo(photo: Photo, face: Face) -> None:
    landmarker = landmarks_from(lambda seen: [face.landmarks + np.float32(len(seen))])
    assert landmarker.detect(photo)[0].landmarks[0, 1] == pytest.approx(face.landmarks[0, 1] + 512)
    assert landmarker.detect(photo[:100])[0].landmarks[0, 1] == pytest.approx(face.landmarks[0, 1] + 100)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros((68, 2)), r"must be \(478, 2\) points .*; got \(68, 2\)"),
        ([np.zeros((478, 4))], r"got \(478, 4\)"),
        (np.full((478, 2), np.nan), "finite"),
        (np.random.default_rng(0).uniform(0, 1e-3, (478, 2)), "Pixels, not fractions"),
    ],
)
def test_wrong_landmarks_are_named(photo: Photo, bad: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        landmarks_from(bad)
    with pytest.raises(ValueError, match=message):
        landmarks_from(lambda seen: bad).detect(photo)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (None, "got NoneType. Pass an empty list for no face"),
        ("a face", "got Face. Pass its landmarks, as in face.landmarks"),
        (["a face"], r"got a Face. Pass \[face.landmarks for face in faces\]"),
    ],
)
def test_what_is_no_array_is_named(photo: Photo, face: Face, bad: object, message: str) -> None:
    given = {"a face": face, "['a face']": [face]}.get(str(bad), bad)
    with pytest.raises(TypeError, match=message):
        landmarks_from(lambda seen: given).detect(photo)  # type: ignore[arg-type, return-value]


def test_lists_of_numbers_are_landmarks_too(photo: Photo, face: Face) -> None:
    for given in (face.landmarks.tolist(), [face.landmarks.tolist()]):
        np.testing.assert_array_equal(landmarks_from(given).detect(photo)[0].landmarks, face.landmarks)


def test_goes_to_a_worker(photo: Photo, face: Face) -> None:
    copy = pickle.loads(pickle.dumps(landmarks_from(face.landmarks)))
    np.testing.assert_array_equal(copy.detect(photo)[0].landmarks, face.landmarks)


def test_the_way_of_a_photo_runs_without_mediapipe(photo: Photo, face: Face, tmp_path: object) -> None:
    np.savez(f"{tmp_path}/face.npz", photo=photo, landmarks=face.landmarks)
    program = """
import sys
sys.modules["mediapipe"] = None  # as if it were not installed
import numpy as np
from gatedinpaint.faces import align, draw_face_mask, landmarks_from, segment_face_mask, warp_reference
file = np.load(sys.argv[1])
photo = file["photo"]
(face,) = landmarks_from(file["landmarks"]).detect(photo)
masked, hole = draw_face_mask(photo, face.landmarks, color="blue")
aligned = align(masked, face.landmarks, size=256)
found = segment_face_mask(aligned.photo, aligned.landmarks)
warp_reference(photo, face.landmarks, aligned.landmarks, (256, 256))
print(bool(found.any()))
"""
    command = [sys.executable, "-c", program, f"{tmp_path}/face.npz"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (run.stdout.split(), run.returncode) == (["True"], 0), run.stderr


def test_changing_a_result_does_not_change_the_next(photo: Photo, face: Face) -> None:
    landmarker = landmarks_from(face.landmarks)
    landmarker.detect(photo)[0].landmarks[:] += 5
    np.testing.assert_array_equal(landmarker.detect(photo)[0].landmarks, face.landmarks)
