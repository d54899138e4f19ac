import copy
import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from gatedinpaint import (
    ContextualAttention2d,
    DeepFillV2Generator,
    DeepFillV2Output,
    SNPatchDiscriminator,
    composite,
    hinge_discriminator_loss,
    hinge_generator_loss,
    load_deepfillv2_weights,
)

REFERENCE = os.environ.get("GATEDINPAINT_DEEPFILLV2_REFERENCE")


def inputs(height: int = 32, width: int = 48, *, batch: int = 2) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    image, mask = torch.rand(batch, 3, height, width) * 2 - 1, torch.zeros(batch, 1, height, width)
    mask[..., height // 3 : height // 2 + 1, width // 4 : width // 2 + 1] = 1
    return image, mask


def published(width: int) -> dict[str, Tensor]:
    """Random weights under the published names, each written out: name, inputs, outputs, side of the kernel."""
    c = width
    names = {
        "stage1.conv1": (5, c, 5),
        "stage1.down_block1.conv1_downsample": (c // 2, 2 * c, 3),
        "stage1.down_block1.conv2": (c, 2 * c, 3),
        "stage1.down_block2.conv1_downsample": (c, 4 * c, 3),
        "stage1.down_block2.conv2": (2 * c, 4 * c, 3),
        **{f"stage1.conv_bn{i}": (2 * c, 4 * c, 3) for i in range(1, 8)},
        "stage2.conv_conv1": (3, c, 5),
        "stage2.conv_down_block1.conv1_downsample": (c // 2, c, 3),
        "stage2.conv_down_block1.conv2": (c // 2, 2 * c, 3),
        "stage2.conv_down_block2.conv1_downsample": (c, 2 * c, 3),
        "stage2.conv_down_block2.conv2": (c, 4 * c, 3),
        **{f"stage2.conv_conv_bn{i}": (2 * c, 4 * c, 3) for i in range(1, 6)},
        "stage2.ca_conv1": (3, c, 5),
        "stage2.ca_down_block1.conv1_downsample": (c // 2, c, 3),
        "stage2.ca_down_block1.conv2": (c // 2, 2 * c, 3),
        "stage2.ca_down_block2.conv1_downsample": (c, 4 * c, 3),
        "stage2.ca_down_block2.conv2": (2 * c, 4 * c, 3),
        **{f"stage2.ca_conv_bn{i}": (2 * c, 4 * c, 3) for i in (1, 4, 5)},
        "stage2.conv_bn6": (4 * c, 4 * c, 3),
        "stage2.conv_bn7": (2 * c, 4 * c, 3),
    }
    for stage in ("stage1", "stage2"):
        names |= {
            f"{stage}.up_block1.conv1_upsample.conv": (2 * c, 2 * c, 3),
            f"{stage}.up_block1.conv2": (c, 2 * c, 3),
            f"{stage}.up_block2.conv1_upsample.conv": (c, c, 3),
            f"{stage}.up_block2.conv2": (c // 2, c // 2, 3),
            f"{stage}.conv_to_rgb": (c // 4, 3, 3),
        }
    torch.manual_seed(1)
    weights = {"stage2.contextual_attention.fuse_weight": torch.eye(3)[None, None]}
    for name, (inner, outer, side) in names.items():
        weights[f"{name}.conv.weight"] = torch.randn(outer, inner, side, side) / (inner * side**2) ** 0.5
        weights[f"{name}.conv.bias"] = torch.randn(outer) / 10
    return weights


def by_name(weights: dict[str, Tensor], image: Tensor, mask: Tensor) -> DeepFillV2Output:
    """The network written out over the published names, without a class in it but the attention's."""
    F = nn.functional

    def conv(name: str, x: Tensor, *, stride: int = 1, dilation: int = 1) -> Tensor:
        weight, bias = weights[f"{name}.conv.weight"], weights[f"{name}.conv.bias"]
        return F.conv2d(x, weight, bias, stride, dilation * (weight.shape[-1] // 2), dilation)

    def gated(name: str, x: Tensor, *, activation=F.elu, **options: int) -> Tensor:
        y = conv(name, x, **options)
        half = y.shape[1] // 2
        return activation(y[:, :half]) * torch.sigmoid(y[:, half:])

    def down(name: str, x: Tensor) -> Tensor:
        x = gated(f"{name}conv1", x)
        for block in (1, 2):
            x = gated(f"{name}down_block{block}.conv1_downsample", x, stride=2)
            x = gated(f"{name}down_block{block}.conv2", x)
        return x

    def up(stage: str, x: Tensor) -> Tensor:
        for block in (1, 2):
            x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
            x = gated(f"{stage}.up_block{block}.conv1_upsample.conv", x)
            x = gated(f"{stage}.up_block{block}.conv2", x)
        return conv(f"{stage}.conv_to_rgb", x).tanh()

    x = down("stage1.", torch.cat([image * (1 - mask), torch.ones_like(mask), mask], 1))
    for number, dilation in enumerate((1, 2, 4, 8, 16, 1, 1), 1):
        x = gated(f"stage1.conv_bn{number}", x, dilation=dilation)
    coarse = up("stage1", x)
    filled = image * (1 - mask) + coarse * mask
    dilated = down("stage2.conv_", filled)
    for number, dilation in enumerate((1, 2, 4, 8, 16), 1):
        dilated = gated(f"stage2.conv_conv_bn{number}", dilated, dilation=dilation)
    attended = gated("stage2.ca_conv_bn1", down("stage2.ca_", filled), activation=F.relu)
    attended = ContextualAttention2d()(attended, mask)
    attended = gated("stage2.ca_conv_bn5", gated("stage2.ca_conv_bn4", attended))
    x = gated("stage2.conv_bn7", gated("stage2.conv_bn6", torch.cat([dilated, attended], 1)))
    return DeepFillV2Output(coarse, up("stage2", x))


def test_published_size() -> None:
    with torch.device("meta"):
        generator = DeepFillV2Generator()
    assert sum(parameter.numel() for parameter in generator.parameters()) == 4_052_478
    with FlopCounterMode(display=False) as counter:
        generator(torch.zeros(1, 3, 256, 256, device="meta"), torch.zeros(1, 1, 256, 256, device="meta"))
    assert counter.get_total_flops() / 2e9 == pytest.approx(27.8, abs=0.1)  # multiply-adds


@pytest.mark.parametrize("width", [4, 12])
@pytest.mark.parametrize("size", [(1, 1), (7, 50), (37, 16), (64, 64)])
def test_any_width_and_size(width: int, size: tuple[int, int]) -> None:
    image, mask = inputs(*size)
    output = DeepFillV2Generator(width).eval()(image, mask)
    assert output.coarse.shape == output.refined.shape == image.shape
    assert output.refined.isfinite().all() and output.refined.abs().max() <= 1


def test_what_is_in_the_hole_is_never_seen() -> None:
    generator, (image, mask) = DeepFillV2Generator(4).eval(), inputs()
    spoiled = torch.where(mask > 0.5, torch.nan, image)
    for clean, other in zip(generator(image, mask), generator(spoiled, mask), strict=True):
        assert torch.equal(clean, other)


def test_samples_of_a_batch_do_not_see_each_other() -> None:
    generator, (image, mask) = DeepFillV2Generator(4).double().eval(), inputs()
    mask[1] = mask[1].flip(-1, -2)
    together = generator(image.double(), mask)
    for i in range(2):
        alone = generator(image[i : i + 1].double(), mask[i : i + 1])
        torch.testing.assert_close(alone.refined, together.refined[i : i + 1], rtol=0, atol=1e-12)


def test_gradient_reaches_every_parameter() -> None:
    generator, (image, mask) = DeepFillV2Generator(4), inputs()
    output = generator(image, mask)
    (output.coarse.square().mean() + output.refined.square().mean()).backward()
    assert [name for name, p in generator.named_parameters() if p.grad is None or not p.grad.abs().max() > 0] == []


def test_copies_agree() -> None:
    generator, (image, mask) = DeepFillV2Generator(4).eval(), inputs()
    assert torch.equal(copy.deepcopy(generator)(image, mask).refined, generator(image, mask).refined)


@pytest.mark.slow
def test_is_exported_for_any_batch_and_size() -> None:
    generator, (image, mask) = DeepFillV2Generator(4).eval(), inputs(64, 80)
    Dim = torch.export.Dim
    free = {0: Dim("batch", max=64), 2: 8 * Dim("rows", min=2, max=128), 3: 8 * Dim("columns", min=2, max=128)}
    with torch.no_grad():
        exported = torch.export.export(generator, (image, mask), dynamic_shapes=(free, free)).module()
        image, mask = inputs(96, 48, batch=3)
        for ours, theirs in zip(exported(image, mask), generator(image, mask), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=5e-5)


def test_one_step_against_the_patch_discriminator() -> None:
    torch.manual_seed(0)
    generator, discriminator, (image, mask) = DeepFillV2Generator(4), SNPatchDiscriminator(4), inputs(64, 64)
    before = {name: p.detach().clone() for net in (generator, discriminator) for name, p in net.named_parameters()}
    optimizers = [torch.optim.SGD(network.parameters(), lr=0.1) for network in (generator, discriminator)]
    fake = composite(generator(image, mask).refined, image, mask)
    loss = hinge_discriminator_loss(discriminator(image, mask), discriminator(fake.detach(), mask))
    loss.backward()
    optimizers[1].step()
    assert all(p.grad is None for p in generator.parameters())
    discriminator.requires_grad_(False)
    first = hinge_generator_loss(discriminator.eval()(fake, mask))
    first.backward()
    optimizers[0].step()
    second = hinge_generator_loss(discriminator(composite(generator(image, mask).refined, image, mask), mask))
    assert second < first
    after = {name: p for net in (generator, discriminator) for name, p in net.named_parameters()}
    # The discriminator's last bias moves all scores alike, which the hinge loss does not feel between its two margins.
    assert [name for name in before if torch.equal(before[name], after[name])] == ["layers.10.bias"]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda weights: {"G": weights, "D": {"x": torch.zeros(1)}, "n_iter": 5},
        lambda weights: weights,
        lambda weights: {"G": {f"module.{key}": value for key, value in weights.items()}},
        lambda weights: {key: value for key, value in weights.items() if "fuse" not in key},
    ],
)
def test_a_checkpoint_is_read_and_computes_what_its_names_say(tmp_path: Path, wrap) -> None:
    weights = published(8)
    torch.save(wrap(weights), tmp_path / "states.pth")
    generator = load_deepfillv2_weights(tmp_path / "states.pth")
    assert generator.config == {"base_channels": 8} and not generator.training
    image, mask = inputs(40, 64)
    mask[1] = mask[1].flip(-1)
    with torch.no_grad():
        for ours, theirs in zip(generator(image, mask), by_name(weights, image, mask), strict=True):
            assert theirs.std() > 0.01
            torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-6)


def test_safetensors_and_half_precision(tmp_path: Path) -> None:
    weights = {key: value.half() for key, value in published(4).items()}
    save_file(weights, tmp_path / "states.safetensors")
    generator = load_deepfillv2_weights(str(tmp_path / "states.safetensors"))
    assert {parameter.dtype for parameter in generator.parameters()} == {torch.float32}
    assert torch.equal(generator.coarse[0].conv.weight, weights["stage1.conv1.conv.weight"].float())


def test_every_tensor_that_does_not_fit_is_named(tmp_path: Path) -> None:
    weights = published(4)
    del weights["stage2.conv_bn6.conv.bias"], weights["stage1.conv_bn3.conv.weight"]
    weights["stage3.conv1.conv.weight"] = torch.zeros(1)
    weights["stage2.ca_conv1.conv.weight"] = torch.zeros(4, 3, 3, 3)
    weights["stage2.contextual_attention.fuse_weight"] = torch.ones(1, 1, 3, 3)
    torch.save(weights, tmp_path / "states.pth")
    with pytest.raises(ValueError, match=r"states.pth: weights do not fit DeepFillV2Generator\(4\)") as error:
        load_deepfillv2_weights(tmp_path / "states.pth")
    for part in (
        "missing stage1.conv_bn3.conv.weight",
        "missing stage2.conv_bn6.conv.bias",
        "unexpected stage3.conv1.conv.weight",
        "stage2.ca_conv1.conv.weight is (4, 3, 3, 3), expected (4, 3, 5, 5)",
        "stage2.contextual_attention.fuse_weight is not the 3×3 identity",
    ):
        assert part in str(error.value)


@pytest.mark.parametrize("first", [None, torch.zeros(()), torch.zeros(6, 5, 5, 5)])
def test_a_first_layer_that_tells_no_width(tmp_path: Path, first: Tensor | None) -> None:
    weights = published(4) | {"stage1.conv1.conv.weight": first}
    torch.save({key: value for key, value in weights.items() if value is not None}, tmp_path / "states.pth")
    with pytest.raises(ValueError, match="stage1.conv1.conv.weight"):
        load_deepfillv2_weights(tmp_path / "states.pth")


def test_weights_from_tensorflow_are_refused(tmp_path: Path) -> None:
    torch.save({"G": {"conv1.conv.weight": torch.zeros(48, 5, 5, 5)}}, tmp_path / "states.pth")
    with pytest.raises(ValueError, match=r"converted from TensorFlow, which need TensorFlow's asymmetric padding"):
        load_deepfillv2_weights(tmp_path / "states.pth")


class Code:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("executed",)


def test_a_pickle_with_code_is_not_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"G": published(4), "extra": Code()}, "zip.pth")
    Path("plain.pth").write_bytes(pickle.dumps(Code()))
    for name in ("zip.pth", "plain.pth"):
        with pytest.raises(ValueError, match="holds objects whose loading would run code; such a file is not opened"):
            load_deepfillv2_weights(name)
    assert not Path("executed").exists()


@pytest.mark.parametrize("name", ["states.pth", "states.safetensors"])
@pytest.mark.parametrize("content", [b"", b"no such format", b"PK\x03\x04", bytes(range(200))])
def test_damaged_files(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name}: (damaged or|no PyTorch checkpoint)"):
        load_deepfillv2_weights(tmp_path / name)


@pytest.mark.parametrize("content", [torch.zeros(3), {"G": 5}, {"G": {"stage1.conv1": [1.0]}}, [1, 2]])
def test_other_content(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "states.pth")
    with pytest.raises(ValueError, match="expected a dict of tensors, or a dict whose key G holds one"):
        load_deepfillv2_weights(tmp_path / "states.pth")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"states.pth: no such file"):
        load_deepfillv2_weights(tmp_path / "states.pth")


@pytest.mark.skipif(REFERENCE is None, reason="GATEDINPAINT_DEEPFILLV2_REFERENCE names no file with reference results")
@pytest.mark.parametrize("size", ["64x64", "96x128"])
def test_agrees_with_the_public_port(tmp_path: Path, size: str) -> None:
    tensors = load_file(str(REFERENCE))
    weights = {key.removeprefix("state/"): value for key, value in tensors.items() if key.startswith("state/")}
    torch.save({"G": weights}, tmp_path / "states.pth")
    with torch.no_grad():
        output = load_deepfillv2_weights(tmp_path / "states.pth")(tensors[f"{size}/image"], tensors[f"{size}/mask"])
    torch.testing.assert_close(output.coarse, tensors[f"{size}/coarse"], rtol=0, atol=1e-5)
    torch.testing.assert_close(output.refined, tensors[f"{size}/refined"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("width", [0, -4, 6, 2])
def test_bad_width(width: int) -> None:
    with pytest.raises(ValueError, match=f"base_channels must be .*; got {width}"):
        DeepFillV2Generator(width)


def test_bad_input() -> None:
    image, mask = inputs()
    with pytest.raises(ValueError, match=r"pass mask\[:, None\]; 1 marks the hole"):
        DeepFillV2Generator(4)(image, mask[:, 0])
    with pytest.raises(TypeError, match="floating-point tensor; got torch.uint8"):
        DeepFillV2Generator(4)(image.to(torch.uint8), mask)
