"""Faces out of place and remains of face masks, as training sees them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from examples.mask_removal.face_dataset import FaceDataset
from examples.mask_removal.placements import placed, with_remains
from gatedinpaint.faces import FaceLandmarker, face_height


@pytest.fixture(scope="module")
def landmarks(photo: np.ndarray, landmarker: FaceLandmarker) -> np.ndarray:
    return landmarker.detect(photo)[0].landmarks


def test_photo_landmarks_and_hole_move_together(photo: np.ndarray, landmarks: np.ndarray) -> None:
    """A dot painted at a landmark is found where the landmark went."""
    nose = landmarks[1]
    dotted, found = np.zeros_like(photo), np.zeros(photo.shape[:2], bool)
    x, y = nose.round().astype(int)
    dotted[y - 3 : y + 4, x - 3 : x + 4] = 255
    found[y - 3 : y + 4, x - 3 : x + 4] = True
    shifts = []
    for seed in range(20):
        moved_photo, moved, moved_hole = placed(dotted, landmarks, found, 0.1, np.random.default_rng(seed))
        for picture in (moved_photo[..., 0] > 127, moved_hole):
            lines, columns = np.nonzero(picture)
            np.testing.assert_allclose((columns.mean(), lines.mean()), moved[1], atol=1.0)
        shifts.append((moved - landmarks).mean(0))
    shifts = np.abs(shifts)
    assert shifts.max(0).min() > 20 and shifts.max() < 2 * 0.1 * 512  # the shift itself, and that by scale and angle


def test_nothing_moves_by_nothing(photo: np.ndarray, landmarks: np.ndarray) -> None:
    moved_photo, moved, found = placed(photo, landmarks, None, 0.0, np.random.default_rng(0))
    assert found is None
    np.testing.assert_array_equal(moved_photo, photo)
    np.testing.assert_allclose(moved, landmarks, atol=1e-3)


def test_remains_stand_around_the_hole_and_never_in_it(photo: np.ndarray, landmarks: np.ndarray) -> None:
    outside = []
    for seed in range(30):
        seen, hole = with_remains(photo, landmarks, np.random.default_rng(seed))
        assert 0.2 < hole.sum() / face_height(landmarks) ** 2 < 0.9
        np.testing.assert_array_equal(seen[hole], photo[hole])
        outside.append((seen != photo).any(-1).sum() / hole.sum())
    assert sum(share > 0.01 for share in outside) > 15  # most have some ...
    assert max(outside) < 0.3  # ... and none more than remains


def test_samples_come_out_of_place_and_with_remains_only_when_asked(training_set: Path) -> None:
    plain = FaceDataset(training_set)[1]
    moved, left = FaceDataset(training_set, placement=0.1)[1], FaceDataset(training_set, remains_share=1.0)[1]
    assert not torch.equal(plain.image, moved.image)
    differs = (left.image != plain.image).any(0, keepdim=True)
    assert differs.any() and not (differs & left.mask.bool()).any()
    again = FaceDataset(training_set, placement=0.1, remains_share=0.5, reference_share=1.0)
    for first, second in zip(again[2], again[2], strict=True):
        assert torch.equal(first, second)
