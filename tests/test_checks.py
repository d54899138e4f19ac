"""What the messages about integers advise: a photo turned into floats alone would have values of 0…255."""

import pytest
import torch

from gatedinpaint import GatedConv2d, composite


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
def test_an_integer_image_is_to_be_scaled(dtype: torch.dtype) -> None:
    with pytest.raises(TypeError, match=r"scale it to \[-1, 1\]: x\.float\(\) / 127\.5 - 1"):
        GatedConv2d(3, 4, 3)(torch.zeros(1, 3, 8, 8, dtype=dtype))


def test_an_integer_target_is_to_be_scaled() -> None:
    image = torch.zeros(1, 3, 8, 8)
    with pytest.raises(TypeError, match=r"scale it to \[-1, 1\]: image\.float\(\) / 127\.5 - 1"):
        composite(image, image.byte(), image[:, :1])


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8])
def test_a_mask_becomes_zero_and_one(dtype: torch.dtype) -> None:
    image = torch.zeros(1, 3, 8, 8)
    with pytest.raises(TypeError, match=r"Convert it with \(mask > 0\)\.float\(\); 1 marks the hole"):
        composite(image, image, torch.ones(1, 1, 8, 8, dtype=dtype))


def test_a_bool_image_is_converted() -> None:
    with pytest.raises(TypeError, match=r"got torch\.bool\. Convert it with x\.float\(\)\."):
        GatedConv2d(3, 4, 3)(torch.zeros(1, 3, 8, 8, dtype=torch.bool))
