"""Sampling through a matrix: averaged, doubled or cut to what is in use, every pixel stays where the matrix puts it."""

import numpy as np
import pytest

from gatedinpaint.faces._resample import inverted, resample


@pytest.mark.parametrize("growth", [0.05, 0.11, 0.3, 0.7, 1.0, 2.5, 5.0])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_pixel_shows_the_place_that_the_matrix_says(growth: float, dtype: type) -> None:
    size, side = (24, 20), 120 if growth > 0.5 else round(40 / growth)
    linear = growth * np.array([[np.cos(0.4), np.sin(0.4)], [-np.sin(0.4), np.cos(0.4)]])
    matrix = np.column_stack([linear, np.array([9.5, 11.5]) - linear @ np.full(2, (side - 1) / 2)])
    level = 255 / (side - 1)
    y, x = np.mgrid[:side, :side]
    ramp = np.rint(np.stack([x, y, x], -1) * level) if dtype is np.uint8 else np.stack([x, y, x], -1) * level
    shown = resample(ramp.astype(dtype), matrix, size, border="reflect")[..., :2] / level
    y, x = np.mgrid[: size[0], : size[1]]
    back = inverted(matrix)
    places = np.stack([x, y], -1) @ back[:, :2].T + back[:, 2]
    inner = ((places > 3 + 2 / growth) & (places < side - 4 - 2 / growth)).all(-1)
    error = growth * (shown - places)[inner]  # in pixels of the result
    rounded = growth / level if dtype is np.uint8 else 0.0  # by a grey level; upwards in means of four
    assert inner.sum() > 300
    assert np.abs(error.mean(0)).max() < 0.03 + (0.7 * rounded if growth < 1 else 0)
    assert np.abs(error).max() < 0.1 + 1.5 * rounded
