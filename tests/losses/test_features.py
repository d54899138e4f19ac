import email.message
import io
import subprocess
import sys
import urllib.error

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import vgg as torchvision_vgg
from torchvision.transforms.functional import normalize

from gatedinpaint.losses import VGGFeatures, perceptual_loss, style_loss

RELU = {"vgg16": ("D", (1, 6, 11, 18, 25)), "vgg19": ("E", (1, 6, 11, 20, 29))}


def reference_levels(net, image):
    """Torchvision's own layers and statistics; the indices of relu1_1 ... relu5_1 read off its printed model."""
    torch.manual_seed(0)
    configuration, indices = RELU[net]
    layers = torchvision_vgg.make_layers(torchvision_vgg.cfgs[configuration]).eval()
    state = {f"features.{key}": value for key, value in layers.state_dict().items()}
    x, levels = normalize(image, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]), []
    with torch.no_grad():
        for index, layer in enumerate(layers):
            x = layer(x)
            if index in indices:
                levels.append(x.clone())
    return state, levels


@pytest.mark.parametrize("net", ["vgg16", "vgg19"])
@pytest.mark.parametrize("input_range", [(-1.0, 1.0), (0.0, 1.0), (0.0, 255.0)])
def test_equals_torchvision(net, input_range):
    image = torch.rand(2, 3, 36, 32, generator=torch.Generator().manual_seed(1))  # in [0, 1]
    state, expected = reference_levels(net, image)
    state["classifier.0.weight"] = torch.zeros(1)  # ignored, whatever its shape
    low, high = input_range
    levels = VGGFeatures(net, weights=state, input_range=input_range)(low + (high - low) * image)
    assert [tuple(level.shape) for level in levels] == [
        (2, 64, 36, 32),
        (2, 128, 18, 16),
        (2, 256, 9, 8),
        (2, 512, 4, 4),
        (2, 512, 2, 2),
    ]
    for level, reference in zip(levels, expected, strict=True):
        assert reference.std() > 0
        torch.testing.assert_close(level, reference, rtol=1e-4, atol=1e-5 * reference.abs().max().item())


def test_memory_is_laid_out_for_speed_whatever_the_image_is(vgg16_state):
    vgg = VGGFeatures("vgg16", weights=vgg16_state)
    for layout in (torch.contiguous_format, torch.channels_last):
        image = torch.rand(2, 3, 32, 32).contiguous(memory_format=layout)
        assert all(level.is_contiguous(memory_format=torch.channels_last) for level in vgg(image))


def test_gradient_reaches_the_image_and_no_parameter(vgg16_state):
    vgg = VGGFeatures("vgg16", weights=vgg16_state)
    target = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    for loss in (perceptual_loss, style_loss):
        image = (target * 0.5).requires_grad_()
        loss(vgg(image), vgg(target)).backward()
        assert image.grad.isfinite().all()
        assert (image.grad != 0).float().mean() > 0.9
    assert len(list(vgg.parameters())) == 22
    assert all(not parameter.requires_grad and parameter.grad is None for parameter in vgg.parameters())


def test_stays_in_evaluation_mode_and_out_of_the_optimizer(vgg16_state):
    parent = torch.nn.Sequential(VGGFeatures("vgg16", weights=vgg16_state)).train()
    assert parent.training
    assert not any(module.training for module in parent[0].modules())


def test_making_it_draws_no_random_numbers_and_leaves_the_weights_alone(vgg16_state):
    before = torch.get_rng_state()
    vgg = VGGFeatures("vgg16", weights=vgg16_state)
    assert torch.equal(torch.get_rng_state(), before)
    key = "features.0.weight"
    assert vgg.state_dict()[key].data_ptr() != vgg16_state[key].data_ptr()
    assert set(vgg.state_dict()) == set(vgg16_state)


def test_weights_from_files(vgg16_state, tmp_path):
    image = torch.rand(1, 3, 16, 16)
    expected = VGGFeatures("vgg16", weights=vgg16_state)(image)
    save_file(vgg16_state, tmp_path / "vgg.safetensors")
    torch.save(vgg16_state, tmp_path / "vgg.pth")
    for path in (tmp_path / "vgg.safetensors", str(tmp_path / "vgg.pth")):
        levels = VGGFeatures("vgg16", weights=path)(image)
        assert all(torch.equal(level, reference) for level, reference in zip(levels, expected, strict=True))


def test_default_weights_come_from_the_cache(vgg16_state, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cache = tmp_path / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    torch.save(vgg16_state, cache / "vgg16-397923af.pth")
    loaded = VGGFeatures("vgg16").state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in vgg16_state.items())


@pytest.mark.parametrize("answer", ["offline", "truncated"])
def test_default_weights_that_cannot_be_had(answer, tmp_path, monkeypatch):
    def urlopen(*args, **kwargs):
        if answer == "offline":
            raise urllib.error.URLError("no network")
        response = io.BytesIO(b"half a file")
        response.info = email.message.Message
        return response

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "urlopen", urlopen)
    with pytest.raises(RuntimeError, match=r"vgg19-dcbb9e9d\.pth.*pass weights="):
        VGGFeatures()


def test_weights_of_another_network(vgg16_state):
    with pytest.raises(ValueError, match=r"torchvision's vgg19.*features\.16\.weight.*Pass the net"):
        VGGFeatures("vgg19", weights=vgg16_state)
    with pytest.raises(ValueError, match=r"another shape: features\.0\.weight\."):
        VGGFeatures("vgg16", weights={**vgg16_state, "features.0.weight": torch.zeros(64, 1, 3, 3)})


def test_files_that_are_no_weights(vgg16_state, tmp_path):
    for file in ("vgg.pth", "vgg.safetensors"):
        with pytest.raises(FileNotFoundError, match=rf"{file}: no such file\. Expected a \.safetensors file or"):
            VGGFeatures("vgg16", weights=tmp_path / file)
        (tmp_path / file).write_bytes(b"garbage")
        with pytest.raises(ValueError, match=rf"{file}: .*[Dd]amaged"):
            VGGFeatures("vgg16", weights=tmp_path / file)
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ValueError, match=r"list\.pth: expected a dict of tensors; got something else"):
        VGGFeatures("vgg16", weights=tmp_path / "list.pth")


def test_bad_options(vgg16_state):
    with pytest.raises(ValueError, match=r"net must be .* got 'resnet50'"):
        VGGFeatures("resnet50", weights=vgg16_state)
    with pytest.raises(ValueError, match=r"input_range must be \(lowest, highest\); got \(1, 1\)"):
        VGGFeatures("vgg16", weights=vgg16_state, input_range=(1, 1))


def test_bad_images(vgg16_state):
    vgg = VGGFeatures("vgg16", weights=vgg16_state)
    with pytest.raises(ValueError, match=r"at least 16 pixels high and wide; got \(1, 3, 15, 32\)"):
        vgg(torch.zeros(1, 3, 15, 32))
    with pytest.raises(ValueError, match=r"image must be \(B, 3, H, W\); got \(1, 4, 16, 16\)"):
        vgg(torch.zeros(1, 4, 16, 16))
    with pytest.raises(ValueError, match=r"input_range = \(-1, 1\); got values from 0 to 255"):
        vgg(torch.linspace(0, 255, 3 * 16 * 16).view(1, 3, 16, 16))
    assert len(vgg(torch.full((1, 3, 16, 16), 1.09))) == 5  # within the margin
    with pytest.raises(ValueError, match="got values from nan to nan"):
        vgg(torch.full((1, 3, 16, 16), torch.nan))
    with pytest.raises(ValueError, match=r"under no_grad call generator\.eval\(\) first, or clamp it\."):
        vgg(torch.full((1, 3, 16, 16), 1.3))


def test_output_of_a_network_may_overshoot(vgg16_state):
    image = torch.full((1, 3, 16, 16), 1.5, requires_grad=True)
    assert len(VGGFeatures("vgg16", weights=vgg16_state)(image)) == 5


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_image_of_another_precision(vgg16_state, dtype):
    image = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(1)).to(dtype)
    vgg = VGGFeatures("vgg16", weights=vgg16_state)
    assert all(torch.equal(a, b) for a, b in zip(vgg(image), vgg(image.float()), strict=True))


def test_importing_the_losses_brings_no_torchvision():
    code = "import sys, gatedinpaint.losses; sys.exit('torchvision' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_repr(vgg16_state):
    text = repr(VGGFeatures("vgg16", weights=vgg16_state))
    assert "net='vgg16', input_range=(-1.0, 1.0)" in text


def test_the_constants_of_vgg_are_where_its_weights_are(vgg16_state) -> None:
    with torch.device("meta"):
        vgg = VGGFeatures("vgg16", weights=vgg16_state)
    assert vgg.mean.device == vgg.std.device == next(vgg.parameters()).device
    levels = vgg.to("meta")(torch.zeros(1, 3, 32, 32, device="meta"))  # which have no values to look at
    assert levels[4].shape == (1, 512, 2, 2)
