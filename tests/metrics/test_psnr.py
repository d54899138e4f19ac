import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio
from torch import Tensor

from gatedinpaint.metrics import psnr, ssim


def images(seed=0, size=(3, 3, 20, 24)):
    rng = np.random.default_rng(seed)
    target = rng.uniform(-1, 1, size=size)
    return np.clip(target + rng.normal(scale=0.1, size=size), -1, 1), target


def test_against_scikit_image():
    input, target = images()
    values = psnr(torch.from_numpy(input), torch.from_numpy(target), data_range=2.0)
    assert values.shape == (3,)
    for value, x, y in zip(values, input, target, strict=True):
        assert value.item() == pytest.approx(peak_signal_noise_ratio(y, x, data_range=2.0), abs=1e-9)


def test_by_hand():
    # An error of 0.1 at every pixel, range 2: 10 · log10(4 / 0.01).
    target = torch.zeros(1, 3, 4, 4)
    assert psnr(target + 0.1, target, data_range=2.0).item() == pytest.approx(26.0206, abs=1e-4)


def test_mask_measures_the_hole_alone():
    target = torch.zeros(2, 3, 4, 4, dtype=torch.float64)
    input = target.clone()
    input[0, :, 0, 0] = 0.1  # all the error in the hole
    input[1, 0, 0, 0], input[1, :, 3, 3] = 0.3, 1.0  # 0.09 / 3 in the hole, the rest outside
    mask = torch.zeros(2, 1, 4, 4)
    mask[:, :, 0, 0] = 1
    expected = torch.tensor([20.0, 10 * math.log10(1 / 0.03)], dtype=torch.float64)
    torch.testing.assert_close(psnr(input, target, data_range=1.0, mask=mask), expected)
    full = psnr(input, target, data_range=1.0, mask=torch.ones_like(mask))
    torch.testing.assert_close(full, psnr(input, target, data_range=1.0))


def test_identical_images_are_infinitely_alike():
    image = torch.rand(2, 3, 4, 4)
    assert psnr(image, image, data_range=1.0).tolist() == [math.inf, math.inf]


def test_gradient_is_zero_where_the_images_are_identical_and_no_other_changes():
    target = torch.zeros(2, 3, 4, 4, dtype=torch.float64)
    input = target.clone()
    input[1] = 0.1
    input.requires_grad_()
    psnr(input, target, data_range=2.0).sum().backward()
    assert (input.grad[0] == 0).all()
    # d/de of -20 log10(e), shared among 48 elements
    torch.testing.assert_close(input.grad[1], torch.full_like(input[1], -20 / (math.log(10) * 0.1 * 48)))


def test_scaling_image_and_range_changes_nothing():
    input, target = map(torch.from_numpy, images())
    scaled = psnr((input + 1) * 127.5, (target + 1) * 127.5, data_range=255)
    torch.testing.assert_close(scaled, psnr(input, target, data_range=2.0))


def test_half_precision():
    target = torch.zeros(1, 3, 256, 256, dtype=torch.float16)
    value = psnr(target + 0.001, target, data_range=2.0)  # 1e-6 is a subnormal of float16
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(20 * math.log10(2 / 0.001), abs=0.01)


def test_wrong_range():
    photo = torch.linspace(0, 255, 3 * 16).view(1, 3, 4, 4)
    with pytest.raises(ValueError, match=r"got data_range=1 for values from 0 to 255.*255 for \[0, 255\]"):
        psnr(photo, photo, data_range=1.0)
    # Each fits alone; together they do not.
    with pytest.raises(ValueError, match="values from -1 to 1"):
        psnr(torch.zeros(1, 3, 4, 4) + 1, torch.zeros(1, 3, 4, 4) - 1, data_range=1.0)
    with pytest.raises(ValueError, match="data_range must be greater than 0; got 0"):
        psnr(photo, photo, data_range=0)


def test_bad_arguments():
    image = torch.zeros(3, 3, 4, 4)
    with pytest.raises(ValueError, match=r"input must be \(B, C, H, W\); got \(3, 4, 4\)"):
        psnr(image[0], image[0], data_range=1.0)
    with pytest.raises(ValueError, match="must have one shape"):
        psnr(image, image[:1], data_range=1.0)
    with pytest.raises(TypeError, match=r"input must be a floating-point tensor; got torch\.uint8"):
        psnr(image.byte(), image.byte(), data_range=255)
    with pytest.raises(ValueError, match=r"mask must be \(B, 1, H, W\) = \(3, 1, 4, 4\)"):
        psnr(image, image, data_range=1.0, mask=torch.ones(3, 4, 4))
    mask = torch.ones(3, 1, 4, 4)
    mask[[0, 2]] = 0
    with pytest.raises(ValueError, match=r"at least one hole pixel .*got none in sample 0, 2"):
        psnr(image, image, data_range=1.0, mask=mask)


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_nan_in_one_image_does_not_excuse_the_range_of_another(metric: Callable[..., Tensor]) -> None:
    image = torch.zeros(2, 3, 16, 16)
    image[1, 0, 0, 0] = math.nan
    with pytest.raises(ValueError, match="data_range is highest minus lowest possible value; got data_range=1"):
        metric(image, torch.full_like(image, 255.0), data_range=1.0)
    assert metric(image, torch.zeros_like(image), data_range=1.0)[1].isnan()


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_a_photo_is_measured_in_its_own_range(metric: Callable[..., Tensor]) -> None:
    """Scaled to [-1, 1], as networks want it, it would no longer have the data_range that it came with."""
    input, target = (torch.from_numpy((x * 127 + 128).astype(np.uint8)) for x in images())
    for wrong, right in ((input, target.float()), (input.float(), target)):
        with pytest.raises(TypeError, match=r"with (input|target)\.float\(\); data_range is 255 for a photo"):
            metric(wrong, right, data_range=255)
    of_photos = metric(input.float(), target.float(), data_range=255)
    torch.testing.assert_close(of_photos, metric(input / 255, target / 255, data_range=1.0), rtol=1e-4, atol=1e-4)


def test_a_hole_of_many_pixels_is_counted_in_float32():
    target = torch.zeros(1, 1, 300, 300, dtype=torch.float16)
    mask = torch.ones_like(target)  # 90,000 pixels, beyond float16
    value = psnr(target + 0.25, target, data_range=2.0, mask=mask)
    assert value.item() == pytest.approx(20 * math.log10(8), abs=1e-4)


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_a_range_that_is_exceeded_by_more_than_rounding(metric: Callable[..., Tensor]) -> None:
    image = torch.linspace(0, 1, 3 * 256).view(1, 3, 16, 16)
    metric(image * 1.0005, image, data_range=1.0)
    with pytest.raises(ValueError, match="for values from 0 to 1.01"):
        metric(image * 1.01, image, data_range=1.0)
