"""What the messages advise about integers and masks: a photo turned into floats alone would have values of 0…255."""

import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image

from gatedinpaint import (
    ContextualAttention2d,
    DeepFillV2Generator,
    GatedConv2d,
    InpaintGenerator,
    PartialConv2d,
    SNPatchDiscriminator,
    composite,
    dilate,
    erode,
    feather,
    masked_l1_loss,
)
from gatedinpaint.metrics import psnr


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


@pytest.mark.parametrize("name", ["composite", "ContextualAttention2d", "dilate", "erode", "feather"])
@pytest.mark.parametrize(("whole", "advice"), [(True, r"\(mask > 0\)\.float\(\)"), (False, "single mask pass mask")])
def test_what_is_advised_makes_a_mask(name: str, whole: bool, advice: str) -> None:
    """Of whole numbers, or of (B, H, W)."""
    image, mask = torch.zeros(1, 3, 8, 8), torch.zeros(1, 1, 8, 8)
    mask[..., 2:6, 2:6] = 1
    wrong = (255 * mask).byte() if whole else mask[:, 0]
    with pytest.raises(TypeError if whole else ValueError, match=advice):
        _users()[name](image, wrong)
    assert torch.equal((wrong > 0).float() if whole else wrong[:, None], mask)


@pytest.mark.parametrize("batch", [1, 2])
def test_a_mask_of_another_shape_is_told_the_way(batch: int) -> None:
    image, mask = torch.zeros(batch, 3, 8, 8), torch.ones(batch, 1, 8, 8)
    ways = {
        "mask[None, None]" + (".expand(2, -1, -1, -1)" if batch > 1 else ""): mask[0, 0],
        "mask[:, None]": mask[:, 0],
        "mask[:, :1]": mask.expand(-1, 3, -1, -1),
        "mask.permute(0, 3, 1, 2)": mask.permute(0, 2, 3, 1),
        **({"mask.expand(2, -1, -1, -1)": mask[:1]} if batch > 1 else {}),
    }
    for use in (lambda wrong: composite(image, image, wrong), lambda wrong: ContextualAttention2d()(image, wrong)):
        for way, wrong in ways.items():
            with pytest.raises(ValueError, match=re.escape(f"pass {way}")):
                use(wrong)
            assert torch.equal(eval(way, {"mask": wrong}), mask)


def test_a_bool_image_is_converted() -> None:
    with pytest.raises(TypeError, match=r"got torch\.bool\. Convert it with x\.float\(\)\."):
        GatedConv2d(3, 4, 3)(torch.zeros(1, 3, 8, 8, dtype=torch.bool))


def test_an_array_is_told_how_to_become_a_tensor() -> None:
    image = torch.zeros(1, 3, 8, 8)
    photo = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(TypeError, match=r"image must be a torch\.Tensor; got ndarray\. .* photo, use photo_to_image"):
        InpaintGenerator(2)(photo, image[:, :1])
    with pytest.raises(TypeError, match="got Image. If it is a photo, use photo_to_image"):
        masked_l1_loss(Image.fromarray(photo), image, image[:, :1])
    with pytest.raises(TypeError, match=r"mask must be a torch\.Tensor; got ndarray\. Pass torch\.as_tensor\(mask\)"):
        composite(image, image, image[:, :1].numpy())


def _users() -> dict[str, Callable[[torch.Tensor, torch.Tensor], object]]:
    return {
        "composite": lambda image, mask: composite(image, image, mask),
        "masked_l1_loss": lambda image, mask: masked_l1_loss(image, image, mask),
        "PartialConv2d": lambda image, mask: PartialConv2d(3, 2, 3)(image, mask),
        "SNPatchDiscriminator": lambda image, mask: SNPatchDiscriminator(2)(image, mask),
        "InpaintGenerator": lambda image, mask: InpaintGenerator(2)(image, mask),
        "ContextualAttention2d": lambda image, mask: ContextualAttention2d()(image, mask),
        "psnr": lambda image, mask: psnr(image, image, mask=mask, data_range=2.0),
        **{change.__name__: lambda _, mask, change=change: change(mask, 1) for change in (dilate, erode, feather)},
    }


@pytest.mark.parametrize("name", _users())
@pytest.mark.parametrize(("hole", "rest", "cut"), [(255.0, 0.0, "127.5"), (1.0, -1.0, "0")])
def test_a_mask_in_the_range_of_a_photo_is_refused(name: str, hole: float, rest: float, cut: str) -> None:
    image = torch.zeros(1, 3, 32, 32)
    mask = torch.full_like(image[:, :1], rest)
    mask[..., 8:24, 8:24] = hole
    with pytest.raises(ValueError, match=rf"mask must be 1 in the hole and 0 elsewhere; .*\(mask > {cut}\)\.float"):
        _users()[name](image, mask)


def _cutters() -> dict[str, Callable[[torch.Tensor, torch.Tensor], object]]:
    generator = InpaintGenerator(2).eval()
    return {
        "composite": lambda image, mask: composite(-image, image, mask),
        "PartialConv2d": PartialConv2d(3, 2, 3),
        "ContextualAttention2d": ContextualAttention2d(),
        "DeepFillV2Generator": DeepFillV2Generator(4).eval(),
        "InpaintGenerator": generator,
        "a reference": lambda image, mask: generator(image, torch.zeros_like(mask), image, mask),
    }


@pytest.mark.parametrize(
    "name",
    ["composite", "PartialConv2d", "ContextualAttention2d", "DeepFillV2Generator", "InpaintGenerator", "a reference"],
)
def test_a_soft_mask_is_cut_at_a_half(name: str) -> None:
    """By all alike, or what one fills the next would take for known."""
    image, soft = torch.rand(1, 3, 32, 32), torch.tensor([0.0, 0.2, 0.5, 0.8]).repeat_interleave(8)
    cut, hard = _cutters()[name], (soft > 0.5).float()
    results, expected = (cut(image, mask.expand(1, 1, 32, 32)) for mask in (soft, hard))
    torch.testing.assert_close(results, expected, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_mask_that_was_resized_may_overshoot(dtype: torch.dtype) -> None:
    image = torch.zeros(1, 3, 8, 8, dtype=dtype)
    assert composite(image + 1, image, image[:, :1] + 1.1).min() == 1


def test_a_mask_of_unknown_values_is_taken() -> None:
    image = torch.zeros(1, 3, 8, 8, device="meta")
    assert composite(image, image, image[:, :1]).is_meta
