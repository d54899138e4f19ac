from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import ndimage

from gatedinpaint import composite, dilate, erode, feather


def random_mask(*, seed: int = 0, share: float = 0.1) -> torch.Tensor:
    return (torch.rand(2, 1, 33, 40, generator=torch.Generator().manual_seed(seed)) < share).float()


def test_composite_is_exact_bit_by_bit() -> None:
    generated, image, mask = torch.randn(2, 3, 33, 40), torch.randn(2, 3, 33, 40), random_mask(share=0.5)
    image[0, 0, 0, 0], generated[0, 0, 0, 1] = -0.0, torch.nan
    mask[0, 0, 0, :2] = 0
    result = composite(generated, image, mask)
    inside = mask.bool().expand_as(image)
    assert torch.equal(result[inside], generated[inside])
    assert torch.equal(result[~inside].view(torch.int32), image[~inside].view(torch.int32))


def test_composite_sends_gradient_to_the_hole_only() -> None:
    generated = torch.zeros(2, 3, 33, 40, requires_grad=True)
    mask = random_mask(share=0.5)
    composite(generated, torch.ones(2, 3, 33, 40), mask).sum().backward()
    assert torch.equal(generated.grad, mask.expand(2, 3, 33, 40))


@pytest.mark.parametrize("radius", [0, 1, 4])
def test_dilate_and_erode_equal_scipy(radius: int) -> None:
    window = np.ones((1, 1, 2 * radius + 1, 2 * radius + 1), bool)
    small = random_mask(share=0.02)
    want = ndimage.binary_dilation(small.bool().numpy(), window) if radius else small.bool().numpy()
    assert np.array_equal(dilate(small, radius).bool().numpy(), want)
    large = 1 - small
    want = ndimage.binary_erosion(large.bool().numpy(), window, border_value=1) if radius else large.bool().numpy()
    assert np.array_equal(erode(large, radius).bool().numpy(), want)


@pytest.mark.parametrize("radius", [0, 3])
def test_feather_is_the_chessboard_distance_and_stays_inside(radius: int) -> None:
    mask = dilate(random_mask(share=0.01), 6)
    weights = feather(mask, radius)
    for soft, hard in zip(weights[:, 0], mask[:, 0], strict=True):
        # Beyond the border counts as hole, so the distance is taken on a frame of hole.
        framed = np.pad(hard.numpy(), 9, constant_values=1)
        distance = ndimage.distance_transform_cdt(framed, metric="chessboard")[9:-9, 9:-9]
        want = np.minimum(distance, radius + 1) / (radius + 1)
        np.testing.assert_allclose(soft.numpy(), want, atol=1e-6)
    assert (weights[mask == 0] == 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_wide_feather_is_the_mean_of_eroded_masks(dtype: torch.dtype) -> None:
    """300 steps are more than bfloat16 can count."""
    mask = torch.zeros(1, 1, 3, 700, dtype=dtype)
    mask[..., 20:680] = 1
    eroded = [erode(mask, distance).float() for distance in range(301)]
    assert torch.equal(feather(mask, 300), torch.stack(eroded).mean(0).to(dtype))
    assert feather(mask, 300).max() == 1


def test_bad_input() -> None:
    mask = random_mask()
    with pytest.raises(ValueError, match="radius must be 0 or more pixels; got -1"):
        dilate(mask, -1)
    with pytest.raises(ValueError, match=r"mask must be \(B, 1, H, W\); got \(2, 3, 4, 4\)"):
        feather(torch.zeros(2, 3, 4, 4), 1)
    for change in (dilate, erode, feather):
        with pytest.raises(TypeError, match=r"mask must be a floating-point tensor; got torch\.bool"):
            change(mask.bool(), 1)
    with pytest.raises(TypeError, match=r"generated must be a torch\.Tensor; got NoneType"):
        composite(None, torch.zeros(2, 3, 33, 40), mask)
    with pytest.raises(ValueError, match="generated and image must have one shape"):
        composite(torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 33, 40), mask)
    with pytest.raises(ValueError, match="1 marks the hole"):
        composite(torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 4, 4), mask)


@pytest.mark.parametrize("operation", [dilate, erode, feather])
def test_a_radius_that_is_no_whole_number(operation: Callable[[torch.Tensor, float], torch.Tensor]) -> None:
    with pytest.raises(TypeError, match=r"radius must be a whole number of pixels; got 2\.0"):
        operation(torch.zeros(1, 1, 4, 4), 2.0)
    assert operation(torch.zeros(1, 1, 4, 4), np.int64(2)).shape == (1, 1, 4, 4)


@pytest.mark.parametrize("operation", [dilate, erode, feather])
def test_twice_a_radius_need_not_fit_into_its_type(operation: Callable[[torch.Tensor, int], torch.Tensor]) -> None:
    mask = random_mask()
    for radius in (np.int8(100), np.uint8(200)):
        assert torch.equal(operation(mask, radius), operation(mask, int(radius)))
