import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.data import astronaut
from skimage.metrics import structural_similarity
from torch.autograd import gradcheck

from gatedinpaint.metrics import ssim

OPTIONS = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}


def pair(low, high):
    """A photo and its noisy twin, (1, 3, H, W), in [low, high]."""
    photo = astronaut()[40:161, 160:290].transpose(2, 0, 1)[None] / 255
    noisy = np.clip(photo + np.random.default_rng(0).normal(scale=0.08, size=photo.shape), 0, 1)
    return low + (high - low) * noisy, low + (high - low) * photo


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_against_scikit_image(low, high, dtype, tolerance):
    input, target = pair(low, high)
    value = ssim(torch.from_numpy(input).to(dtype), torch.from_numpy(target).to(dtype), data_range=high - low)
    expected = structural_similarity(input[0], target[0], data_range=high - low, channel_axis=0, **OPTIONS)
    assert 0.2 < expected < 0.9
    assert value.shape == (1,)
    assert value.item() == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0), (-3.0, 7.0)])
def test_a_photo_has_one_similarity_whatever_its_range(low, high):
    """From the lowest value on: without it a shift of brightness counts several times as much in [-1, 1]."""
    photo, brighter = pair(0.0, 1.0)[1], np.clip(pair(0.0, 1.0)[1] + 0.05, 0, 1)
    expected = structural_similarity(photo[0], brighter[0], data_range=1.0, channel_axis=0, **OPTIONS)
    input, target = (torch.from_numpy(low + (high - low) * x) for x in (brighter, photo))
    assert ssim(input, target, data_range=high - low, lowest=low).item() == pytest.approx(expected, abs=1e-9)
    if low < 0:
        assert ssim(input, target, data_range=high - low).item() < expected - 0.02
    with pytest.raises(ValueError, match=r"lowest must be .* -1\.0 for images in \[-1, 1\]; got nan"):
        ssim(input, target, data_range=high - low, lowest=float("nan"))


def test_float32_on_bright_and_flat_images():
    # Where a variance is a small difference of large numbers.
    rng = np.random.default_rng(0)
    target = np.full((1, 3, 64, 64), 250.0)
    input = target + rng.uniform(size=target.shape)
    expected = structural_similarity(input[0], target[0], data_range=255, channel_axis=0, **OPTIONS)
    value = ssim(torch.from_numpy(input).float(), torch.from_numpy(target).float(), data_range=255)
    assert value.item() == pytest.approx(expected, abs=1e-6)


def test_each_image_of_a_batch_on_its_own():
    input, target = (torch.from_numpy(value) for value in pair(-1.0, 1.0))
    inputs, targets = torch.cat([input, target, -input]), torch.cat([target, target, target])
    values = ssim(inputs, targets, data_range=2.0)
    alone = [ssim(inputs[i : i + 1], targets[i : i + 1], data_range=2.0) for i in range(3)]
    torch.testing.assert_close(values, torch.cat(alone))
    assert values[1].item() == pytest.approx(1.0)
    assert values[2] < values[0] < values[1]


def test_by_hand_on_constant_images():
    # No variance: (2·μx·μy + C1) / (μx² + μy² + C1) with μ = 0.5, 0.25 and C1 = 1e-4.
    value = ssim(torch.full((1, 1, 11, 11), 0.5), torch.full((1, 1, 11, 11), 0.25), data_range=1.0)
    assert value.item() == pytest.approx((0.25 + 1e-4) / (0.3125 + 1e-4), rel=1e-6)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**31), height=st.integers(11, 17), width=st.integers(11, 17))
def test_symmetric_bounded_and_one_for_itself(seed, height, width):
    x, y = torch.rand(2, 2, 3, height, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    values = ssim(x, y, data_range=1.0)
    torch.testing.assert_close(values, ssim(y, x, data_range=1.0))
    assert (values.abs() < 1).all()
    torch.testing.assert_close(ssim(x, x, data_range=1.0), torch.ones(2, dtype=torch.float64))


def test_mask_averages_scikit_images_map_over_the_hole():
    input, target = pair(-1.0, 1.0)
    hole = np.zeros(input.shape[2:], dtype=bool)
    hole[:70, 30:90] = True  # reaches the upper border: its outer 5 rows have no whole window
    _, full = structural_similarity(input[0], target[0], data_range=2.0, channel_axis=0, full=True, **OPTIONS)
    inner = np.zeros_like(hole)
    inner[5:-5, 5:-5] = hole[5:-5, 5:-5]
    mask = torch.from_numpy(hole)[None, None].double()
    value = ssim(torch.from_numpy(input), torch.from_numpy(target), data_range=2.0, mask=mask)
    assert value.item() == pytest.approx(full[:, inner].mean(), abs=1e-12)
    whole = ssim(torch.from_numpy(input), torch.from_numpy(target), data_range=2.0)
    assert abs(value.item() - whole.item()) > 1e-3


def test_half_precision_is_computed_in_float32():
    input, target = (torch.from_numpy(value).half() for value in pair(0.0, 255.0))  # squares beyond float16
    value = ssim(input, target, data_range=255)
    assert value.dtype == torch.float32
    assert torch.equal(value, ssim(input.float(), target.float(), data_range=255))


def test_gradcheck():
    torch.manual_seed(0)
    x, y = torch.rand(2, 1, 2, 12, 13, dtype=torch.float64)
    assert gradcheck(lambda x, y: ssim(x, y, data_range=1.0), (x.requires_grad_(), y.requires_grad_()))


def test_bad_arguments():
    image = torch.zeros(2, 3, 16, 16)
    with pytest.raises(ValueError, match=r"at least 11 pixels high and wide; got \(2, 3, 10, 16\)"):
        ssim(image[:, :, :10], image[:, :, :10], data_range=1.0)
    with pytest.raises(ValueError, match="data_range=1 for values from 0 to 255"):
        ssim(image + 255, image, data_range=1.0)
    with pytest.raises(ValueError, match=r"mask must be \(B, 1, H, W\)"):
        ssim(image, image, data_range=1.0, mask=torch.ones(2, 3, 16, 16))
    mask = torch.ones(2, 1, 16, 16)
    mask[1, :, 5:11, 5:11] = 0
    with pytest.raises(ValueError, match="hole pixel at least 5 pixels from the border; got none in sample 1"):
        ssim(image, image, data_range=1.0, mask=mask)
