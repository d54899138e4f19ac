import numpy as np
import pytest
import torch
from PIL import Image

from gatedinpaint import image_to_photo, photo_to_image
from gatedinpaint.image import check_photo


def test_every_byte_survives_the_way_to_an_image_and_back() -> None:
    photo = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    image = photo_to_image(photo)
    assert image.shape == (1, 3, 16, 16)
    assert (image.min(), image.max()) == (-1, 1)
    assert np.array_equal(image_to_photo(image), photo)


def test_image_to_photo_clips_and_refuses() -> None:
    assert image_to_photo(torch.tensor([-5.0, 5.0, 0.999]).reshape(1, 3, 1, 1)).tolist() == [[[0, 255, 255]]]
    with pytest.raises(ValueError, match="NaN"):
        image_to_photo(torch.full((1, 3, 2, 2), torch.nan))
    with pytest.raises(ValueError, match=r"one image \(1, 3, H, W\); got \(2, 3, 2, 2\)"):
        image_to_photo(torch.zeros(2, 3, 2, 2))


@pytest.mark.parametrize(
    ("photo", "error", "message"),
    [
        ([[1]], TypeError, "numpy array"),
        (np.zeros((4, 4, 3)), TypeError, "uint8 in 0…255; got float64"),
        (np.zeros((4, 4, 4), np.uint8), ValueError, r"Drop the alpha channel"),
        (np.zeros((4, 4), np.uint8), ValueError, "Repeat the grey channel"),
        (np.zeros((4, 4, 1), np.uint8), ValueError, r"Repeat the grey channel: np\.repeat\(photo, 3, -1\)"),
        (np.zeros((3, 4, 5), np.uint8), ValueError, r"Channels come last: photo\.transpose\(1, 2, 0\)"),
        (np.zeros((4, 4, 3), np.uint16), TypeError, "Use as_photo for 16 bits"),
        (torch.zeros(1, 3, 4, 4), TypeError, "got Tensor. Use image_to_photo"),
        (Image.new("L", (4, 4)), TypeError, r'got Image. Pass np\.asarray\(photo\.convert\("RGB"\)\)'),
        (np.zeros((0, 4, 3), np.uint8), ValueError, "empty"),
    ],
)
def test_check_photo(photo: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        check_photo(photo)
