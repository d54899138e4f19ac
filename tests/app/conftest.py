"""Photos, and the page as users get it: a process of its own."""

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skimage.data import astronaut

from gatedinpaint import write_photo
from gatedinpaint.faces import FaceLandmarker, draw_face_mask
from tests.app.tab import Tab
from tests.image.test_files import png_of_size

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def landmarker() -> FaceLandmarker:
    return FaceLandmarker()


@pytest.fixture(scope="session")
def masked(landmarker: FaceLandmarker) -> np.ndarray:
    return draw_face_mask(astronaut(), landmarker.detect(astronaut())[0].landmarks)[0]


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory, masked: np.ndarray) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    write_photo(folder / "masked.png", masked)
    write_photo(folder / "bare.png", astronaut())
    write_photo(folder / "reference.jpg", np.ascontiguousarray(astronaut()[:, ::-1]))
    write_photo(folder / "tall.tif", np.full((300, 200, 3), 128, np.uint8))
    write_photo(folder / "wall.png", np.full((200, 300, 3), 128, np.uint8))
    (folder / "text.jpg").write_text("not a photo")
    (folder / "heavy.jpg").write_bytes(b"\xff\xd8\xff" + bytes(31_000_000))
    (folder / "wide.png").write_bytes(png_of_size(30_000, 30_000))
    return folder


# Put where Python looks for it at its start: notes every address that the process turns to and every file it writes.
AUDIT = """
import os
import sys

log = os.open(os.environ["AUDIT_LOG"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def note(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        text = f"asks {arguments[1] if event == 'socket.connect' else arguments[0]}"
    elif event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR):
        text = f"writes {arguments[0]}"
    else:
        return
    os.write(log, (text + "\\n").encode())


sys.addaudithook(note)
"""


@dataclass
class Page:
    """A running server."""

    url: str
    process: subprocess.Popen[str]
    home: Path
    """Its home folder, with the folder for temporary files in it."""


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    pytest.importorskip("gradio", reason="no tests of the web page: gradio is not installed")
    home = tmp_path_factory.mktemp("home")
    (home / "tmp").mkdir()
    places = {name: str(home / "tmp") for name in ("TMPDIR", "TEMP", "TMP")} | {"HOME": str(home)}
    settings = {"GATEDINPAINT_FACE_LANDMARKER": str(FaceLandmarker().model_path)}
    settings["MPLCONFIGDIR"] = str(tmp_path_factory.mktemp("matplotlib"))  # mediapipe imports it, and it lists fonts
    audit = tmp_path_factory.mktemp("audit")
    (audit / "sitecustomize.py").write_text(AUDIT)
    settings |= {"AUDIT_LOG": str(audit / "log"), "PYTHONPATH": str(audit), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "examples.mask_removal.app", "--port", "0"]
    environment = {**os.environ, **places, **settings, "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True)
    said = process.stdout.readline()  # comes when the port is open, or with the end of the process
    if not said.startswith("Open http://127.0.0.1:"):
        raise AssertionError(f"the server does not start: {said} {process.communicate()[1]}")
    url = said.split()[1]
    start = len((audit / "log").read_text().splitlines())
    urllib.request.urlopen(url, timeout=60).close()
    yield Page(url, process, home)
    process.terminate()
    _, errors = process.communicate(timeout=30)
    assert "Traceback" not in errors, errors
    notes = (audit / "log").read_text().splitlines()
    assert [note for note in notes if note.startswith("asks")] == []  # no other server, from its start to its end
    assert "writes /dev/null" in notes and set(notes[start:]) <= {"writes /dev/null"}  # no file, once it serves
    left = [path for path in home.rglob("*") if path.is_file() or path.name.startswith("mask-removal")]
    assert left == []  # the server's own folder has gone as well


@pytest.fixture
def tab(browser: Any, page: Any) -> Iterator[Tab]:
    opened = Tab(browser, page.url)
    yield opened
    opened.context.close()
