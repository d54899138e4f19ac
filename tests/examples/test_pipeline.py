from pathlib import Path

import numpy as np
import pytest

from examples.mask_removal.pipeline import CROP_SIZE, MODEL_SIZE, WEIGHTS, Origin, _fill, load_default, remove_mask
from examples.mask_removal.views import View, seen_otherwise
from gatedinpaint import InpaintGenerator
from gatedinpaint.faces import FaceLandmarker, NoFaceError, draw_face_mask


@pytest.fixture(scope="module")
def masked(photo: np.ndarray, landmarker: FaceLandmarker) -> np.ndarray:
    return draw_face_mask(photo, landmarker.detect(photo)[0].landmarks)[0]


@pytest.fixture(scope="module")
def reference(photo: np.ndarray, landmarker: FaceLandmarker) -> np.ndarray:
    return seen_otherwise(photo, landmarker.detect(photo)[0].landmarks, View())[0]


def test_the_default_weights_are_small_and_have_a_model_card() -> None:
    assert (WEIGHTS / "model.safetensors").stat().st_size <= 8_000_000
    card = (WEIGHTS / "README.md").read_text(encoding="utf-8")
    assert "research" in card.lower()
    assert load_default().reference


def test_outside_the_hole_every_byte_stays(masked: np.ndarray, landmarker: FaceLandmarker) -> None:
    before = masked.copy()
    removal = remove_mask(masked, load_default(), landmarker)
    assert np.array_equal(masked, before)
    assert removal.photo.shape == masked.shape and removal.photo.dtype == np.uint8
    assert np.array_equal(removal.photo[~removal.hole], masked[~removal.hole])
    assert (removal.photo[removal.hole] != masked[removal.hole]).any(axis=1).mean() > 0.95


def test_the_default_weights_beat_the_mean_colour_of_the_visible_face(
    photo: np.ndarray, masked: np.ndarray, reference: np.ndarray, landmarker: FaceLandmarker
) -> None:
    landmarks = landmarker.detect(photo)[0].landmarks
    skin = np.median(photo[tuple(landmarks[[50, 280, 151, 9]].astype(int).T[::-1])], axis=0)
    for second in (None, reference):
        removal = remove_mask(masked, load_default(), landmarker, reference=second)
        truth = photo[removal.hole].astype(float)
        error = np.abs(removal.photo[removal.hole] - truth).mean()
        assert error < 0.8 * np.abs(skin - truth).mean()
        assert error < 0.5 * np.abs(masked[removal.hole] - truth).mean()


def test_every_pixel_is_original_guided_or_invented(
    masked: np.ndarray, reference: np.ndarray, landmarker: FaceLandmarker
) -> None:
    generator = InpaintGenerator(2).eval()
    alone = remove_mask(masked, generator, landmarker)
    assert np.array_equal(alone.origin == Origin.ORIGINAL, ~alone.hole)
    assert np.array_equal(alone.origin == Origin.INVENTED, alone.hole)
    assert alone.crop_reference is None
    guided = remove_mask(masked, generator, landmarker, reference=reference)
    assert np.array_equal(guided.hole, alone.hole)
    assert (guided.origin[guided.hole] == Origin.GUIDED).mean() > 0.9
    assert guided.crop_reference.shape == (MODEL_SIZE, MODEL_SIZE, 3)
    assert guided.crop.shape == guided.crop_result.shape == (CROP_SIZE, CROP_SIZE, 3)
    assert not np.array_equal(guided.photo, alone.photo)
    assert set(guided.seconds) == {"landmarks", "find the hole", "warp the reference", "generator", "paste"}


def test_nothing_of_the_face_mask_reaches_the_generator(masked: np.ndarray, landmarker: FaceLandmarker) -> None:
    removal = remove_mask(masked, load_default(), landmarker)
    repainted = np.where(removal.crop_hole[..., None], np.array([255, 0, 255], np.uint8), removal.crop)
    nowhere = np.zeros((MODEL_SIZE, MODEL_SIZE), bool)
    refilled = _fill(load_default(), repainted, removal.crop_hole, None, nowhere)
    assert np.array_equal(refilled, removal.crop_result)


def test_no_face(masked: np.ndarray, landmarker: FaceLandmarker) -> None:
    wall = np.full((300, 300, 3), 120, np.uint8)
    with pytest.raises(NoFaceError, match="no face found in the photo"):
        remove_mask(wall, load_default(), landmarker)
    with pytest.raises(NoFaceError, match="no face found in the reference"):
        remove_mask(masked, load_default(), landmarker, reference=wall)


def test_a_generator_of_any_size_and_photos_of_any_size(masked: np.ndarray, landmarker: FaceLandmarker) -> None:
    for photo, size in (
        (masked, 100),
        (np.ascontiguousarray(masked[::3, ::3]), 128),
        (masked.repeat(4, 0).repeat(4, 1), 64),
    ):
        removal = remove_mask(photo, InpaintGenerator(2).eval(), landmarker, size=size)
        assert removal.photo.shape == photo.shape
        assert removal.hole.any()
        assert np.array_equal(removal.photo[~removal.hole], photo[~removal.hole])


def test_model_card_names_the_command(masked: np.ndarray) -> None:
    assert "examples.mask_removal.train" in (Path(WEIGHTS) / "README.md").read_text(encoding="utf-8")
