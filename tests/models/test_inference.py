from typing import Literal

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from gatedinpaint import (
    GatedConv2d,
    InpaintGenerator,
    SNPatchDiscriminator,
    _filtering_choice,
    minimal_filtering,
    optimize_for_inference,
)


def inputs() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    image, mask = torch.rand(2, 3, 50, 36) * 2 - 1, torch.zeros(2, 1, 50, 36)
    mask[..., 10:30, 8:20] = 1
    return image, mask


@pytest.mark.parametrize("mode", ["auto", "always", "never"])
def test_the_generators_results_agree_to_rounding(mode: Literal["auto", "always", "never"]) -> None:
    generator = InpaintGenerator(4).eval()
    for module in generator.modules():
        if hasattr(module, "gamma"):  # 0 at first, where attention would be out of the result
            nn.init.constant_(module.gamma, 0.5)
    image, mask = inputs()
    fast = optimize_for_inference(generator)
    with minimal_filtering(mode):
        found = fast(image, mask, image, mask)
    for ours, want in zip(found, generator(image, mask, image, mask), strict=True):
        torch.testing.assert_close(ours, want, rtol=0, atol=1e-5)
    assert fast.coarse.encoder[1].conv.weight.is_contiguous(memory_format=torch.channels_last)
    kept = [layer for layer in fast.modules() if getattr(layer, "_kept", None) is not None]
    assert bool(kept) is (mode == "always")  # at this width nothing is faster


def test_a_wide_layer_keeps_its_filters_for_maps_too_small_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_filtering_choice, "vectors", lambda: "avx512")  # whatever the processor has
    layer = GatedConv2d(128, 64, 3)
    fast = optimize_for_inference(layer)
    x = torch.randn(1, 128, 32, 32)
    for module, less in ((layer, False), (fast, True)):
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            module(x)
        assert (counter.get_total_flops() < 2 * 9 * 128 * 128 * 32**2) is less


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
