import numpy as np
import pytest
import torch
from skimage.data import astronaut
from torch import Tensor

from benchmarks import second_photo_in_use
from benchmarks.second_photo_in_use import ROWS, OnlyIn, figures, report
from examples.mask_removal.held_out import Pair
from examples.mask_removal.stored_face import Face as StoredFace
from gatedinpaint import InpaintGenerator
from gatedinpaint.faces import FaceLandmarker, landmarks_from
from tests.benchmarks.test_released_recipe import training_set  # noqa: F401


def test_a_landmarker_that_looks_into_known_photos_alone() -> None:
    known, other = np.zeros((8, 8, 3), np.uint8), np.ones((8, 8, 3), np.uint8)
    points = np.random.default_rng(0).uniform(0, 8, (478, 2))
    seer = OnlyIn(landmarks_from(points), known)
    assert len(seer.detect(known.copy())) == 1 and seer.detect(other) == []


def test_gains_are_over_the_row_without() -> None:
    rows = [[(20.0, 0.04), (21.0, 0.03), (19.5, 0.05)], [(22.0, 0.06), (22.0, 0.05), (22.5, 0.06)]]
    lines = [line.strip("| ").split(" | ") for line in report(rows).splitlines()[2:]]
    assert lines == [
        [ROWS[0], "21.00", "–", "0.0500", "–"],
        [ROWS[1], "21.50", "+0.50", "0.0400", "-20.0 %"],
        [ROWS[2], "21.00", "+0.00", "0.0550", "+10.0 %"],
    ]


class Two:
    """A held-out part of two photos of one person: the same photo, and itself mirrored."""

    def __init__(self, photo: np.ndarray, landmarker: FaceLandmarker) -> None:
        self.faces, self.photos = self, [photo, np.ascontiguousarray(photo[:, ::-1])]
        self.landmarks = [landmarker.detect(view)[0].landmarks for view in self.photos]

    def load(self, position: int) -> StoredFace:
        points = self.landmarks[position]
        return StoredFace(self.photos[position], points, None, points)

    def pairs(self) -> list[Pair]:
        return [Pair(0, 1, 1, 0.0)]


def test_rows_of_a_face() -> None:
    photo, landmarker = astronaut(), FaceLandmarker()
    faces = Two(np.ascontiguousarray(photo[:288, 80:368]), landmarker)
    shown: list[Tensor] = []

    def distance(x: Tensor, y: Tensor) -> Tensor:
        shown.append(x)
        return (x - y).abs().mean()[None]

    (row,) = figures(faces, InpaintGenerator(2).eval(), landmarker, distance)  # type: ignore[arg-type]
    assert row is not None and len(row) == len(ROWS)
    truth = torch.from_numpy(faces.photos[0]).permute(2, 0, 1)[None].float() / 127.5 - 1
    for (decibels, seen), filled in zip(row, shown, strict=True):
        changed = (filled - truth).abs().amax(1) > 1e-3
        assert 0.02 < changed.float().mean() < 0.6 and decibels > 0
        assert seen == pytest.approx(float((filled - truth).abs().mean()))
    assert not torch.equal(shown[0], shown[1])


def test_a_set_without_second_photos(
    training_set: object,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(second_photo_in_use, "LPIPS", lambda net: None)
    assert second_photo_in_use.main(["--data", str(training_set)]) == 2
    assert "has a second photo" in capsys.readouterr().err
