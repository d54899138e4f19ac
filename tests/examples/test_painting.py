"""How a crop is painted."""

import cv2
import numpy as np
import pytest
import torch

from examples.mask_removal.data import Batch
from examples.mask_removal.fills import fills_of
from examples.mask_removal.painting import SIZES, paint_crop, paint_quickly, size_for
from gatedinpaint import DeepFillV2Generator, InpaintGenerator, photo_to_image

SMALL, LARGE = SIZES


class Recorder:
    """Paints its hole in one colour, and remembers what it was shown."""

    reference = True

    def __init__(self) -> None:
        self.seen: list[tuple] = []

    def paint(
        self, crop: np.ndarray, hole: np.ndarray, warped: np.ndarray | None, known: np.ndarray | None
    ) -> np.ndarray:
        self.seen.append((crop, hole, warped, known))
        return np.full_like(crop, 200)


@pytest.fixture
def crop() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 100, (LARGE, LARGE, 3)).astype(np.uint8)


@pytest.fixture
def hole() -> np.ndarray:
    hole = np.zeros((LARGE, LARGE), bool)
    hole[121:200, 61:180] = True
    return hole


def test_the_first_pass_is_the_reference_of_the_second(crop: np.ndarray, hole: np.ndarray) -> None:
    painter = Recorder()
    paint_crop(painter, crop, hole, size=LARGE)
    (small, small_hole, *nothing), (large, large_hole, warped, known) = painter.seen
    assert small.shape == (SMALL, SMALL, 3) and nothing == [None, None]
    assert np.array_equal(small_hole, hole.reshape(SMALL, 2, SMALL, 2).any((1, 3)))  # what a pixel of the hole touches
    assert np.array_equal(large, crop) and np.array_equal(large_hole, hole)
    assert known[hole].all() and 1 < known.sum() / hole.sum() < 1.3
    inside = np.zeros_like(hole)
    inside[124:197, 64:177] = True
    assert (warped[inside] == 200).all() and not warped[~known].any()


def test_one_pass_serves_where_there_is_a_reference_or_no_place_for_one(crop: np.ndarray, hole: np.ndarray) -> None:
    painter = Recorder()
    paint_crop(painter, crop, hole, crop, ~hole, size=LARGE)
    assert len(painter.seen) == 1 and painter.seen[0][2] is not None
    painter.reference = False
    paint_crop(painter, crop, hole, size=LARGE)
    paint_crop(painter, crop[:SMALL, :SMALL], hole[:SMALL, :SMALL], size=SMALL)
    assert [seen[2] for seen in painter.seen[1:]] == [None, None]


def test_nothing_in_the_hole_is_seen_in_either_pass(crop: np.ndarray, hole: np.ndarray) -> None:
    generator = InpaintGenerator(2).eval()
    repainted = np.where(hole[..., None], np.array([255, 0, 255], np.uint8), crop)
    first, second = (paint_crop(generator, picture, hole, size=LARGE) for picture in (crop, repainted))
    assert np.array_equal(first[hole], second[hole])


def test_the_evaluation_fills_as_the_pipeline_does(crop: np.ndarray, hole: np.ndarray) -> None:
    generator = InpaintGenerator(2).eval()
    assert "in two passes" not in fills_of(generator)
    mask = torch.from_numpy(hole).float()[None, None]
    batch = Batch(photo_to_image(crop), mask, photo_to_image(crop), mask)
    filled = fills_of(generator, LARGE)["in two passes"](batch)
    assert torch.equal(filled, photo_to_image(paint_crop(generator, crop, hole, size=LARGE)))


def test_the_larger_crop_is_for_faces_that_have_pixels_for_it() -> None:
    assert [size_for(pixels) for pixels in (60, 128, 160, 170, 2000)] == [SMALL, SMALL, SMALL, LARGE, LARGE]


def test_any_network_that_is_called_like_a_generator_serves(crop: np.ndarray, hole: np.ndarray) -> None:
    frame = paint_crop(DeepFillV2Generator(4).eval(), crop, hole, size=LARGE)  # says nothing of a reference
    assert frame.shape == crop.shape and frame.dtype == np.uint8


class Colourful:
    """Paints orange everywhere."""

    reference = True

    def paint(self, crop: np.ndarray, *_: object) -> np.ndarray:
        return np.broadcast_to(np.array([200, 120, 40], np.uint8), crop.shape).copy()


@pytest.mark.parametrize("size", SIZES)
def test_a_grey_photo_is_painted_in_grey(crop: np.ndarray, hole: np.ndarray, size: int) -> None:
    orange = Colourful().paint(crop)
    grey = np.repeat(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    grey[hole] = (30, 90, 200)  # what lies in the hole does not matter
    nearly = grey + np.array([0, 4, 8], np.uint8)
    for photo, painted in ((grey, 135), (nearly, 135), (crop, orange)):
        frame = paint_crop(Colourful(), photo[:size, :size], hole[:size, :size], size=size)
        assert (frame == (painted if isinstance(painted, int) else painted[:size, :size]))[hole[:size, :size]].all()
    assert (paint_crop(Colourful(), grey, np.ones_like(hole), size=LARGE) == orange).all()


def test_painted_quickly_is_the_hole_in_the_middle_alone(crop: np.ndarray) -> None:
    hole = np.zeros((LARGE, LARGE), bool)
    hole[20:130, 60:180] = True  # from 28 on it lies in the middle
    for size, seen in ((200, SMALL), (SMALL, SMALL), (100, 100)):
        painter = Recorder()
        painted = paint_quickly(painter, crop, hole, size=size)
        ((shown, _, warped, known),) = painter.seen
        assert shown.shape == (seen, seen, 3) and warped is None and known is None
        start = (LARGE - size) // 2
        inside = np.zeros_like(hole)
        inside[start : start + size, start : start + size] = True
        assert np.array_equal(painted[~(hole & inside)], crop[~(hole & inside)])
        assert (painted[start + 4 : 126, 86:170] == 200).all()
