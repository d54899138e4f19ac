"""Landmarks of covered faces."""

import numpy as np
import pytest
from skimage.data import astronaut

from gatedinpaint.faces import (
    MASK_STYLES,
    TPS_POINTS,
    FaceLandmarker,
    draw_face_mask,
    face_height,
    mirror_landmarks,
    uncover_landmarks,
)


@pytest.fixture(scope="module")
def landmarker() -> FaceLandmarker:
    return FaceLandmarker()


@pytest.fixture(scope="module")
def bare(landmarker: FaceLandmarker) -> np.ndarray:
    return landmarker.detect(astronaut())[0].landmarks


@pytest.mark.parametrize("style", MASK_STYLES)
def test_uncovered_landmarks_are_nearer_to_those_of_the_bare_face(
    landmarker: FaceLandmarker, bare: np.ndarray, style: str
) -> None:
    before, after = [], []
    for seed in range(3):
        masked, _ = draw_face_mask(astronaut(), bare, style=style, seed=seed)
        believed = landmarker.detect(masked)[0].landmarks
        before.append(_distance(believed, bare))
        after.append(_distance(uncover_landmarks(believed), bare))
    off, left = np.mean(before), np.mean(after)
    assert off > 0.03, "the face mask does not matter: nothing to test"
    assert left < 0.7 * off


def test_the_correction_turns_grows_and_moves_with_the_face(bare: np.ndarray) -> None:
    turn = 1.7 * np.array([[0.8, -0.6], [0.6, 0.8]])
    moved = bare @ turn.T + [300, -40]
    np.testing.assert_allclose(uncover_landmarks(moved), uncover_landmarks(bare) @ turn.T + [300, -40], atol=1e-2)


def test_both_halves_of_the_face_are_corrected_alike(bare: np.ndarray) -> None:
    mirrored = uncover_landmarks(mirror_landmarks(bare, 512))
    np.testing.assert_allclose(mirrored, mirror_landmarks(uncover_landmarks(bare), 512), atol=1e-2)


def test_what_is_no_landmarks() -> None:
    with pytest.raises(ValueError, match=r"landmarks must be \(478, 2\) points"):
        uncover_landmarks(np.zeros((68, 2)))


def _distance(points: np.ndarray, bare: np.ndarray) -> float:
    """Mean of the points that carry a reference, in heights of the face."""
    return float(np.linalg.norm(points - bare, axis=1)[list(TPS_POINTS)].mean() / face_height(bare))
