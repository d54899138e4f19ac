import pytest
import torch
from torch import nn

from gatedinpaint import GatedConv2d, InpaintGenerator, SNPatchDiscriminator, optimize_for_inference


@pytest.fixture(params=["AVX2", "AVX512"])
def capability(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both layouts, whatever the machine of the test."""
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: request.param)
    return request.param


def inputs() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    image, mask = torch.rand(2, 3, 50, 36) * 2 - 1, torch.zeros(2, 1, 50, 36)
    mask[..., 10:30, 8:20] = 1
    return image, mask


def test_the_generators_results_agree_to_rounding(capability: str) -> None:
    generator = InpaintGenerator(4).eval()
    for module in generator.modules():
        if hasattr(module, "gamma"):  # 0 at first, where attention would be out of the result
            nn.init.constant_(module.gamma, 0.5)
    image, mask = inputs()
    fast = optimize_for_inference(generator)
    for ours, want in zip(fast(image, mask, image, mask), generator(image, mask, image, mask), strict=True):
        torch.testing.assert_close(ours, want, rtol=0, atol=1e-5)
    layout = torch.channels_last if capability == "AVX2" else torch.contiguous_format
    assert fast.coarse.encoder[1].conv.weight.is_contiguous(memory_format=layout)


@pytest.mark.usefixtures("capability")
def test_spectral_norms_are_computed_once() -> None:
    discriminator = SNPatchDiscriminator(2)
    image, mask = (x.repeat(1, 1, 2, 3) for x in inputs())
    fast = optimize_for_inference(discriminator)
    torch.testing.assert_close(fast(image, mask), discriminator.eval()(image, mask), rtol=0, atol=1e-5)
    assert [name for name in fast.state_dict() if "parametrizations" in name] == []


def test_the_network_itself_stays_as_it_was() -> None:
    network = nn.Sequential(GatedConv2d(3, 4, 3, spectral_norm=True), nn.BatchNorm2d(4)).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    fast = optimize_for_inference(network)
    assert not fast.training
    assert not fast(torch.randn(1, 3, 8, 8)).requires_grad
    assert network.training
    assert network[1].training
    assert all(parameter.requires_grad for parameter in network.parameters())
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
