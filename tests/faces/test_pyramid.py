import numpy as np
import pytest

from gatedinpaint.faces._pyramid import Pyramid, Window


def ramp(height: int, width: int) -> np.ndarray:
    """A photo whose red and green are x and y."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x, y, np.zeros_like(x)], -1).astype(np.uint8)


@pytest.mark.parametrize("window", [(0, 0, 240, 250), (37, 51, 170, 181), (130, 101, 100, 100), (-20, -31, 200, 220)])
@pytest.mark.parametrize("most", [300, 110, 64])
def test_a_pixel_of_a_view_covers_those_of_the_photo_that_it_says(window: tuple[int, ...], most: int) -> None:
    view = Pyramid(ramp(240, 250)).view(Window(*window), most)
    assert max(view.photo.shape) <= most or view.scale == 2  # a photo of 60 rows is not halved
    y, x = np.nonzero(view.photo[..., 0])
    for axis, (at, start) in enumerate(((x, view.left), (y, view.top))):
        centre = (at + 0.5) * view.scale - 0.5 + start
        assert np.abs(view.photo[y, x, axis] - centre).max() <= 1  # rounded at each halving
        np.testing.assert_array_equal(view.to_photo(np.stack([x, y], -1))[:, axis], centre)
    mirrored = view.mirror_image()
    y, x = np.nonzero(mirrored.photo[..., 0])
    assert np.abs(mirrored.to_photo(np.stack([x, y], -1)) - mirrored.photo[y, x, :2]).max() <= 1
    assert abs(view.top - window[0]) < view.scale and abs(view.left - window[1]) < view.scale


def test_beyond_the_border_it_is_black() -> None:
    view = Pyramid(ramp(240, 250) + np.uint8(5)).view(Window(-20, -30, 400, 400), 400)
    assert view.photo.shape == (400, 400, 3)
    assert view.photo.any(-1).sum() == 240 * 250 and view.photo[20:260, 30:280].any(-1).all()


def test_the_whole_photo_is_not_copied() -> None:
    photo = ramp(100, 120)
    assert np.shares_memory(Pyramid(photo).view(Window(0, 0, 100, 120), 120).photo, photo)


def test_a_thin_photo_keeps_its_thickness() -> None:
    assert Pyramid(ramp(100, 4000)).view(Window(0, 0, 100, 4000), 500).photo.shape == (100, 4000, 3)
