import copy
import pickle
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from gatedinpaint import InpaintGenerator, InpaintOutput, load_model, optimize_for_inference, save_model
from gatedinpaint.models._low_rank import LowRankUpdates, OwnStages

Inputs = tuple[Tensor, Tensor, Tensor, Tensor]


@pytest.fixture
def generator() -> InpaintGenerator:
    """With updates that change much."""
    torch.manual_seed(0)
    generator = InpaintGenerator(2, coarse="unet", skips="all", self_ensemble=True, reference_rank=2).eval()
    assert generator.guided is not None
    with torch.no_grad():
        for weight in generator.guided.parameters():
            weight.add_(0.03 * torch.randn_like(weight))
    return generator


@pytest.fixture
def inputs() -> Inputs:
    """Three images, of which the first and the third have a reference."""
    torch.manual_seed(1)
    image, mask = torch.rand(3, 3, 40, 50) * 2 - 1, torch.zeros(3, 1, 40, 50)
    mask[..., 10:30, 12:30] = 1
    known = torch.ones_like(mask)
    known[1] = 0
    return image, mask, image.flip(-1), known


def by_hand(generator: InpaintGenerator) -> InpaintGenerator:
    """A generator without updates, whose weights are those with them."""
    assert isinstance(generator.guided, LowRankUpdates)
    config = {name: value for name, value in generator.config.items() if name != "reference_rank"}
    plain = InpaintGenerator(**config).train(generator.training)
    weights = generator.state_dict()
    changes = {
        name.replace("/", "."): change()
        for name, change in generator.guided.changes.items()  # type: ignore[operator]
    }
    plain.load_state_dict({name: weights[name] + changes[name].detach() for name in plain.state_dict()})
    return plain


def agree(ours: InpaintOutput, want: InpaintOutput, some: slice = slice(None), *, atol: float = 1e-5) -> None:
    for x, y in zip(ours, want, strict=True):
        torch.testing.assert_close(x[some], y[some], rtol=0, atol=atol)


def test_a_change_is_the_product_of_its_parts() -> None:
    weight = torch.zeros(8, 6, 3, 3)
    change = LowRankUpdates([("weight", weight)], rank=2).changes["weight"]
    torch.nn.init.normal_(change.core)
    want = torch.einsum("op,pqkl,iq->oikl", change.outer, change.core, change.inner)
    torch.testing.assert_close(change(), want)


@pytest.mark.parametrize("shape", [(8, 6, 3, 3), (8, 2, 3, 3), (2, 8, 1, 1), (2, 2, 5, 5), (7,), ()])
def test_what_has_the_rank_is_taken_as_it_is(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    before, after = nn.Module(), nn.Module()
    before.weight = nn.Parameter(torch.randn(shape))
    updates = LowRankUpdates(before.named_parameters(), rank=2)
    change = torch.randn(shape)
    if len(shape) == 4:
        change = torch.einsum(
            "op,pqkl,iq->oikl", torch.randn(shape[0], 2), torch.randn(2, 2, *shape[2:]), torch.randn(shape[1], 2)
        )
    after.weight = nn.Parameter(before.weight.detach() + change)
    updates.take_(before, after)
    torch.testing.assert_close(updates.applied(before).weight, after.weight)
    assert sum(x.numel() for x in updates.parameters()) <= max(1, before.weight.numel())


def test_what_is_cut_down_is_nearer_than_nothing_and_less_with_each_rank() -> None:
    torch.manual_seed(0)
    before, after = nn.Conv2d(12, 16, 3), nn.Conv2d(12, 16, 3)
    errors = []
    for rank in (1, 4, 8, 12):
        updates = LowRankUpdates(before.named_parameters(), rank)
        updates.take_(before, after)
        errors.append((updates.applied(before).weight - after.weight).norm().item())
    assert errors == sorted(errors, reverse=True)
    assert errors[0] < (before.weight - after.weight).norm().item()


def test_at_first_nothing_changes(inputs: Inputs) -> None:
    generator = InpaintGenerator(2, reference_rank=2).eval()
    agree(generator(*inputs), generator(*inputs[:2]), slice(1, 2))
    agree(generator(*inputs), by_hand(generator)(*inputs))


def test_every_image_is_filled_by_its_own_weights(generator: InpaintGenerator, inputs: Inputs) -> None:
    guided, plain = by_hand(generator)(*inputs), generator(*inputs[:2])
    mixed = generator(*inputs)
    agree(mixed, guided, slice(0, 3, 2))
    agree(mixed, plain, slice(1, 2))
    assert not torch.allclose(mixed.refined[::2], plain.refined[::2], atol=0.01)
    nowhere = torch.zeros_like(inputs[3])
    agree(generator(*inputs[:3], nowhere), plain)
    agree(generator(*inputs[:3]), by_hand(generator)(*inputs[:3]))


def test_an_exported_network_chooses_too(inputs: Inputs) -> None:
    torch.manual_seed(0)
    generator = InpaintGenerator(2, reference_rank=2).eval().requires_grad_(False)
    assert generator.guided is not None
    for weight in generator.guided.parameters():
        weight.add_(0.03 * torch.randn_like(weight))
    exported = torch.export.export(generator, inputs, strict=False).module()
    agree(exported(*inputs), generator(*inputs))


def test_optimized(generator: InpaintGenerator, inputs: Inputs) -> None:
    fast = optimize_for_inference(generator)
    agree(fast(*inputs), generator(*inputs), atol=1e-4)
    assert isinstance(fast.guided, OwnStages)
    assert fast.guided.coarse.stem.conv.weight.is_contiguous(memory_format=torch.channels_last)
    assert isinstance(generator.guided, LowRankUpdates)
    with pytest.raises(ValueError, match=r"not a copy by optimize_for_inference"):
        save_model(fast, "never-written")


def test_training_goes_with_the_updates_and_reaches_them_all(generator: InpaintGenerator, inputs: Inputs) -> None:
    generator.train()
    agree(generator(*inputs), by_hand(generator)(*inputs))
    generator.requires_grad_(False)
    assert generator.guided is not None
    generator.guided.requires_grad_(True)
    output = generator(*inputs)
    (output.refined.sum() + output.coarse.sum()).backward()
    for name, weight in generator.named_parameters():
        assert (weight.grad is not None) is name.startswith("guided."), name


def test_kept_weights_follow_every_change(generator: InpaintGenerator, inputs: Inputs) -> None:
    generator.requires_grad_(False)
    first = generator(*inputs).refined
    assert isinstance(generator.guided, LowRankUpdates)
    assert generator.guided.stages(generator) is generator.guided.stages(generator)
    with torch.no_grad():
        generator.guided.changes["refine/to_rgb/bias"].core.add_(0.1)
    agree(generator(*inputs), by_hand(generator)(*inputs), slice(0, 1))
    with torch.no_grad():
        generator.refine.to_rgb.bias.sub_(0.1)
    torch.testing.assert_close(generator(*inputs).refined[::2], first[::2])
    for twin in (copy.deepcopy(generator), pickle.loads(pickle.dumps(generator))):
        assert twin.guided._kept is None
        agree(twin(*inputs), generator(*inputs))


def test_kept_weights_pass_a_gradient_to_the_image(generator: InpaintGenerator, inputs: Inputs) -> None:
    generator.requires_grad_(False)
    with torch.inference_mode():
        generator(*inputs)
    image = inputs[0].clone().requires_grad_()
    generator(image, *inputs[1:]).refined[0].sum().backward()
    assert image.grad is not None and image.grad[0].abs().max() > 0


def test_saved_and_loaded(generator: InpaintGenerator, inputs: Inputs, tmp_path: Path) -> None:
    save_model(generator, tmp_path)
    loaded = load_model(tmp_path)
    assert loaded.config == generator.config and loaded.config["reference_rank"] == 2
    agree(loaded(*inputs), generator(*inputs))


def test_arguments() -> None:
    for rank in (-1, True, 1.5):
        with pytest.raises(ValueError, match="rank must be a whole number of 1 or more"):
            InpaintGenerator(2, reference_rank=rank)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="reference_rank must be 0 without reference"):
        InpaintGenerator(2, reference=False, reference_rank=2)
    assert "reference_rank" not in InpaintGenerator(2).config
