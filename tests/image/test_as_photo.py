import numpy as np
import pytest
from PIL import Image

from gatedinpaint.image import as_photo, read_photo

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)


def test_a_photo_stays_as_it_is() -> None:
    np.testing.assert_array_equal(as_photo(RGB), RGB)


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA"])
def test_like_a_file_of_the_same_kind(mode: str, tmp_path: object) -> None:
    channels = len(mode)
    pixels = RNG.integers(0, 256, (5, 7, channels), dtype=np.uint8)
    pixels[0, 0, -1], pixels[0, 1, -1] = 0, 255
    path = f"{tmp_path}/photo.png"
    Image.fromarray(pixels if channels > 1 else pixels[..., 0]).save(path)
    # Pillow rounds an alpha blend to within one step.
    difference = as_photo(pixels).astype(int) - read_photo(path)
    assert np.abs(difference).max() <= (1 if "A" in mode else 0)


def test_what_shows_through_on_white_is_rounded() -> None:
    colour, alpha = np.mgrid[:256, :256].astype(np.uint8)
    seen = as_photo(np.stack([colour, alpha], -1))[..., 0]
    expected = np.rint((colour.astype(float) * alpha + 255.0 * (255.0 - alpha)) / 255)
    np.testing.assert_array_equal(seen, expected)


def test_grey_with_and_without_a_channel() -> None:
    grey = RGB[..., 0]
    expected = np.stack([grey] * 3, -1)
    np.testing.assert_array_equal(as_photo(grey), expected)
    np.testing.assert_array_equal(as_photo(grey[..., None]), expected)


def test_sixteen_bits_are_rounded() -> None:
    np.testing.assert_array_equal(as_photo(RGB.astype(np.uint16) * 257), RGB)
    values = np.arange(65_536, dtype=np.uint16).reshape(256, 256)
    np.testing.assert_array_equal(as_photo(values)[..., 0], np.round(values / 257))


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        ("photo.jpg", TypeError, "numpy array"),
        (RGB / 255, TypeError, "uint8"),
        (RGB.astype(np.int16), TypeError, "uint8"),
        (RGB.transpose(2, 0, 1), ValueError, r"RGB \(H, W, 3\); got \(3, 5, 7\)"),
        (RGB[None], ValueError, r"got \(1, 5, 7, 3\)"),
        (RGB[:0], ValueError, "empty"),
    ],
)
def test_what_is_not_a_photo_is_named(bad: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        as_photo(bad)


def test_16_bits_in_either_order_of_the_bytes() -> None:
    grey = np.array([[0, 0x8000, 0xFFFF]])
    assert as_photo(grey.astype(">u2")).tolist() == as_photo(grey.astype("<u2")).tolist()
