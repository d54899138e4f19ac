from itertools import count
from pathlib import Path

import numpy as np
import pytest
from skimage.data import astronaut

from examples.mask_removal.face_dataset import held_out
from examples.mask_removal.prepare import main as prepare
from examples.mask_removal.views import View, seen_otherwise
from gatedinpaint import write_photo
from gatedinpaint.faces import FaceLandmarker, draw_face_mask


@pytest.fixture(scope="session")
def landmarker() -> FaceLandmarker:
    return FaceLandmarker()


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    return astronaut()


@pytest.fixture(scope="session")
def masked(photo: np.ndarray, landmarker: FaceLandmarker) -> np.ndarray:
    return draw_face_mask(photo, landmarker.detect(photo)[0].landmarks)[0]


@pytest.fixture(scope="session")
def reference(photo: np.ndarray, landmarker: FaceLandmarker) -> np.ndarray:
    return seen_otherwise(photo, landmarker.detect(photo)[0].landmarks, View())[0]


@pytest.fixture(scope="session")
def photos_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six views of one face under ids of which one is held out, and three files that must be skipped."""
    folder = tmp_path_factory.mktemp("photos")
    ids = [f"face-{number}" for number in range(100) if not held_out(f"face-{number}")][:5]
    ids.append(next(f"face-{number}" for number in count() if held_out(f"face-{number}")))
    for shift, id in enumerate(ids):
        view = astronaut()[: 400 + 10 * shift, 20 * shift :]
        write_photo(folder / f"{id}.png", np.ascontiguousarray(view[:, ::-1] if shift % 2 else view))
    write_photo(folder / "wall.png", np.full((200, 200, 3), 128, np.uint8))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 nothing more")
    (folder / "notes.txt").write_text("no photo, no skip")
    return folder


@pytest.fixture(scope="session")
def training_set(photos_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("set") / "faces"
    assert prepare([str(photos_folder), "--output", str(output), "--size", "64", "--workers", "0"]) == 0
    return output
