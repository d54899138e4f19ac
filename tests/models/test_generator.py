import copy
from typing import Literal

import pytest
import torch
from torch import nn

from gatedinpaint import CoarseNet, CoarseUNet, InpaintGenerator, RefineNet, SNPatchDiscriminator


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("network", "parameters"),
    [(CoarseNet, 5_399_123), (RefineNet, 62_829_142), (SNPatchDiscriminator, 5_946_816)],
)
def test_parameter_counts_of_the_paper(network: type[nn.Module], parameters: int) -> None:
    with torch.device("meta"):
        built = network(32)
    assert count(built) == parameters


def test_shapes_without_memory() -> None:
    """On "meta", where operations are counted without being done."""
    with torch.device("meta"):
        generator = InpaintGenerator(4, reference=False)
        output = generator(torch.zeros(1, 3, 64, 48), torch.zeros(1, 1, 64, 48))
    assert output.refined.shape == (1, 3, 64, 48) and output.refined.device.type == "meta"


def test_reference_adds_four_input_channels_to_each_stage() -> None:
    # 4 channels more in a gated k5 to 2c = 8 outputs, and in a plain k7 to c = 4.
    assert count(InpaintGenerator(4)) - count(InpaintGenerator(4, reference=False)) == 4 * 25 * 8 + 4 * 49 * 4


def inputs(height: int = 32, width: int = 48, *, batch: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    image, mask = torch.rand(batch, 3, height, width) * 2 - 1, torch.zeros(batch, 1, height, width)
    mask[..., height // 3 : height // 2 + 1, width // 4 : width // 2 + 1] = 1
    return image, mask


@pytest.mark.parametrize("skips", ["deep", "all"])
@pytest.mark.parametrize("width", [2, 4, 6, 10])
@pytest.mark.parametrize("size", [(1, 1), (7, 50), (37, 16), (64, 64)])
def test_any_width_and_size(skips: Literal["deep", "all"], width: int, size: tuple[int, int]) -> None:
    generator = InpaintGenerator(width, skips=skips).eval()
    image, mask = inputs(*size)
    output = generator(image, mask, image, mask)
    assert output.coarse.shape == output.refined.shape == image.shape
    assert output.embedding.shape == (2, 16 * width)
    assert output.refined.isfinite().all()
    assert output.refined.abs().max() <= 1


def test_equals_its_two_stages_by_hand() -> None:
    generator = InpaintGenerator(2, reference=False).eval()
    image, mask = inputs()
    coarse = generator.coarse(torch.cat([image * (1 - mask), mask], 1))
    refined, _ = generator.refine(torch.cat([image * (1 - mask) + coarse * mask, mask], 1))
    output = generator(image, mask)
    torch.testing.assert_close(output.coarse, coarse)
    torch.testing.assert_close(output.refined, refined.clamp(-1, 1))


def test_a_u_net_as_first_stage() -> None:
    generator = InpaintGenerator(2, coarse="unet").eval()
    assert type(generator.coarse) is CoarseUNet and generator.size_multiple == 32
    # Ten times the weights of the dilated net, as its docstring says.
    assert count(CoarseUNet(8)) > 10 * count(CoarseNet(8))
    for size in ((7, 50), (64, 64), (33, 16)):
        image, mask = inputs(*size)
        output = generator(image, mask, image, mask)
        assert output.coarse.shape == output.refined.shape == image.shape
    with pytest.raises(ValueError, match=r"coarse must be one of \('dilated', 'unet'\); got 'deep'"):
        InpaintGenerator(2, coarse="deep")  # type: ignore[arg-type]


def test_a_u_net_sees_the_whole_face() -> None:
    net = CoarseUNet(2).double()
    x = torch.randn(1, 4, 128, 128, dtype=torch.float64, requires_grad=True)
    net(x)[..., 64, 64].sum().backward()
    assert x.grad is not None and all((x.grad[0, :, corner, corner] != 0).all() for corner in (0, 127))


@pytest.mark.parametrize(("layer", "channels"), [("up_2", slice(8, 12)), ("up_1", slice(4, 6)), ("up_1", slice(6, 10))])
def test_every_skip_alone_carries_fine_detail(layer: str, channels: slice) -> None:
    """Features of 1/2 scale, of full scale, and x itself: what the result knows of x when all other ways are shut."""
    torch.manual_seed(0)
    net, x = RefineNet(2, skips="all"), torch.randn(1, 4, 32, 32)
    fine = x + torch.tensor([[0.5, -0.5], [-0.5, 0.5]]).repeat(16, 16)
    for name, first in (("up_2", 8), ("up_1", 4)):
        weight = getattr(net, name)[0].weight.detach()
        kept = weight[:, channels].clone()
        weight[:, first if name == "up_1" else 0 :] = 0
        if name == layer:
            weight[:, channels] = kept
    assert (net(fine)[0] - net(x)[0]).abs().mean() > 1e-4
    getattr(net, layer)[0].weight.detach()[:, channels] = 0
    assert torch.equal(net(fine)[0], net(x)[0])


def test_skips_are_a_choice() -> None:
    generator = InpaintGenerator(2, skips="all")
    assert generator.config["skips"] == generator.refine.skips == "all"
    assert "skips" not in InpaintGenerator(2).config
    for build in (RefineNet, InpaintGenerator):
        with pytest.raises(ValueError, match=r"skips must be one of \('deep', 'all'\); got 'none'"):
            build(2, skips="none")


def test_self_ensemble_is_the_mean_of_both_views() -> None:
    both = InpaintGenerator(2, self_ensemble=True).eval()
    one = InpaintGenerator(2).eval()
    one.load_state_dict(both.state_dict())
    seen = inputs(32, 48)
    views = [one(*seen).coarse, one(*(x.flip(-1) for x in seen)).coarse.flip(-1)]
    assert not torch.allclose(*views, atol=1e-3)
    torch.testing.assert_close(both(*seen).coarse, sum(views) / 2)
    torch.testing.assert_close(both.train()(*seen).coarse, views[0])
    assert both.config["self_ensemble"] is True and "self_ensemble" not in one.config


def test_self_ensemble_of_any_size_with_reference() -> None:
    image, mask = inputs(37, 50)
    for coarse in ("dilated", "unet"):
        both = InpaintGenerator(2, coarse=coarse, self_ensemble=True).eval()
        one = InpaintGenerator(2, coarse=coarse).eval()
        one.load_state_dict(both.state_dict())
        output = both(image, mask, image, mask)
        assert output.coarse.shape == output.refined.shape == image.shape
        assert not torch.allclose(output.coarse, one(image, mask, image, mask).coarse, atol=1e-4)


def test_the_first_stage_alone() -> None:
    generator = InpaintGenerator(2).eval()
    image, mask = inputs()
    both = generator(image, mask)
    generator.coarse_only = True
    alone = generator(image, mask)
    assert torch.equal(alone.coarse, both.coarse) and torch.equal(alone.refined, both.coarse)
    assert torch.equal(alone.embedding, torch.zeros_like(both.embedding))
    assert copy.deepcopy(generator).coarse_only and "coarse_only" not in generator.config
    generator.train()(image, mask).refined.sum().backward()
    assert all(p.grad is None for p in generator.refine.parameters())


def test_what_is_in_the_hole_is_never_seen() -> None:
    generator = InpaintGenerator(2).eval()
    image, mask = inputs()
    spoiled = torch.where(mask > 0.5, torch.nan, image)
    for clean, other in zip(generator(image, mask), generator(spoiled, mask), strict=True):
        assert torch.equal(clean, other)


def test_unknown_reference_pixels_are_never_seen() -> None:
    generator = InpaintGenerator(2).eval()
    image, mask = inputs()
    reference = torch.where(mask > 0.5, image.flip(0), torch.nan)
    clean = generator(image, mask, reference.nan_to_num(9.0), mask)
    assert torch.equal(clean.refined, generator(image, mask, reference, mask).refined)
    assert not torch.equal(clean.refined, generator(image, mask).refined)


def test_no_reference_is_a_reference_known_nowhere() -> None:
    generator = InpaintGenerator(2).eval()
    image, mask = inputs()
    nowhere = torch.zeros_like(mask)
    assert torch.equal(generator(image, mask).refined, generator(image, mask, image, nowhere).refined)
    everywhere = torch.ones_like(mask)
    assert torch.equal(generator(image, mask, image).refined, generator(image, mask, image, everywhere).refined)


def test_refined_is_clipped_in_eval_mode_only() -> None:
    generator = InpaintGenerator(2)
    generator.refine.to_rgb.bias.data.fill_(5.0)
    image, mask = inputs()
    assert generator.train()(image, mask).refined.max() > 1
    assert generator.eval()(image, mask).refined.max() == 1


def test_gradient_reaches_every_parameter() -> None:
    generator = InpaintGenerator(2)
    for module in generator.modules():  # the gains of the attentions start at 0 and would hide what is behind them
        if hasattr(module, "gamma"):
            nn.init.ones_(module.gamma)
    image, mask = inputs()
    output = generator(image, mask, image.flip(0))
    (output.coarse.square().mean() + output.refined.square().mean() + output.embedding.square().mean()).backward()
    silent = [name for name, p in generator.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    # A bias on the keys adds one constant to all scores of a query, which the softmax takes away again.
    assert [name for name in silent if not name.endswith("key.bias")] == []


def test_copies_agree() -> None:
    generator = InpaintGenerator(2).eval()
    image, mask = inputs()
    assert torch.equal(copy.deepcopy(generator)(image, mask).refined, generator(image, mask).refined)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image": torch.zeros(2, 32, 48, 3)}, r"Channels come second"),
        ({"image": torch.zeros(3, 32, 48)}, r"pass image\[None\]"),
        ({"mask": torch.zeros(2, 32, 48)}, r"pass mask\[:, None\]; 1 marks the hole"),
        ({"mask": torch.zeros(1, 1, 32, 48)}, r"mask must be \(B, 1, H, W\) = \(2, 1, 32, 48\)"),
        ({"reference": torch.zeros(2, 3, 16, 16)}, r"reference must be warped to the image's \(2, 3, 32, 48\)"),
        ({"reference_mask": torch.ones(2, 1, 32, 48)}, "without reference. Pass both"),
    ],
)
def test_bad_input(arguments: dict[str, torch.Tensor], message: str) -> None:
    image, mask = inputs()
    with pytest.raises(ValueError, match=message):
        InpaintGenerator(2)(**({"image": image, "mask": mask} | arguments))


def test_integer_input_and_missing_reference_channels() -> None:
    image, mask = inputs()
    with pytest.raises(TypeError, match="floating-point tensor; got torch.uint8"):
        InpaintGenerator(2)(image.to(torch.uint8), mask)
    with pytest.raises(ValueError, match="no reference channels. Build it with reference=True"):
        InpaintGenerator(2, reference=False)(image, mask, image)


@pytest.mark.parametrize("width", [0, -2, 3])
def test_bad_width(width: int) -> None:
    with pytest.raises(ValueError, match=f"base_channels must be .*; got {width}"):
        InpaintGenerator(width)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_masks_and_reference_of_another_float_type(dtype: torch.dtype) -> None:
    generator = InpaintGenerator(2).eval()
    image, mask = inputs(30, 48)
    reference = (image.flip(0) * 8).round() / 8  # the same number in every type
    output = generator(image, mask.to(dtype), reference.to(dtype), (1 - mask).to(dtype))
    assert output.refined.dtype == torch.float32
    assert torch.equal(output.refined, generator(image, mask, reference, 1 - mask).refined)


@pytest.mark.parametrize(("network", "multiple"), [(CoarseNet, 4), (RefineNet, 16)])
def test_the_stages_check_their_input(network: type[nn.Module], multiple: int) -> None:
    stage = network(2, in_channels=8)
    with pytest.raises(ValueError, match=rf"x must be \(B, 8, H, W\); got \(1, 4, {multiple}, {multiple}\)"):
        stage(torch.zeros(1, 4, multiple, multiple))
    with pytest.raises(ValueError, match=r"pass x\[None\]"):
        stage(torch.zeros(8, 32, 32))
    with pytest.raises(TypeError, match=r"x must be a floating-point tensor; got torch\.int64"):
        stage(torch.zeros(1, 8, 32, 32, dtype=torch.int64))
    for size in ((32, 32 + multiple // 2), (31, 32)):
        message = rf"multiples of {multiple}; got \({size[0]}, {size[1]}\). Pad it, or use InpaintGenerator"
        with pytest.raises(ValueError, match=message):
            stage(torch.zeros(1, 8, *size))
