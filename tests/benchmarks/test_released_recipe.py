import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.data import astronaut

from benchmarks import released_recipe, timed_training
from benchmarks.released_code import LeakyPatches, SharedGate, as_released, released_terms
from benchmarks.released_recipe import released
from benchmarks.timed_training import train_for
from examples.mask_removal.config import small, smoke
from examples.mask_removal.data import Batch
from examples.mask_removal.face_dataset import held_out
from examples.mask_removal.prepare import main as prepare
from gatedinpaint import GatedConv2d, InpaintGenerator, InpaintOutput, SNPatchDiscriminator, write_photo


@pytest.fixture(scope="module")
def training_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("set")
    ids = [f"face-{number}" for number in range(60)]
    chosen = [id for id in ids if not held_out(id)][:4] + [id for id in ids if held_out(id)][:2]
    (folder / "photos").mkdir()
    for shift, id in enumerate(chosen):
        write_photo(folder / "photos" / f"{id}.png", np.ascontiguousarray(astronaut()[: 400 + 10 * shift]))
    assert prepare([str(folder / "photos"), "--output", str(folder / "set"), "--size", "64", "--workers", "0"]) == 0
    return folder / "set"


@pytest.mark.parametrize("activation", [torch.nn.LeakyReLU(0.2), None])
def test_layer_by_hand(activation: torch.nn.Module | None) -> None:
    layer = SharedGate(GatedConv2d(1, 1, 1, activation=activation))
    torch.nn.init.ones_(layer.conv.weight)
    x = torch.tensor([2.0, -1.0, 0.0]).view(1, 1, 1, 3)
    # c = x: φ(c)·σ(c) = 2·σ(2), −0.2·σ(−1) or −σ(−1), 0; then mean 0 and variance 1 over the batch.
    slope = 1.0 if activation is None else 0.2
    y = np.array([2 / (1 + np.exp(-2)), -slope / (1 + np.exp(1)), 0.0])
    expected = (y - y.mean()) / np.sqrt(y.var() + 1e-5)
    np.testing.assert_allclose(layer(x).detach().flatten(), expected, rtol=1e-5)
    np.testing.assert_allclose(layer.eval()(x).detach().flatten(), expected, rtol=1e-5)  # the code never called eval()


def test_every_gated_layer_is_replaced_and_the_network_still_learns() -> None:
    torch.manual_seed(0)
    ours, theirs = InpaintGenerator(2), as_released(InpaintGenerator(2))
    gated = [name for name, module in ours.named_modules() if isinstance(module, GatedConv2d)]
    assert [name for name, module in theirs.named_modules() if isinstance(module, SharedGate)] == gated
    assert len(gated) > 50
    assert not any(isinstance(module, GatedConv2d) for module in theirs.modules())
    image, mask = torch.rand(2, 3, 32, 32), torch.zeros(2, 1, 32, 32)
    mask[..., 8:24, 8:24] = 1
    output = theirs(image, mask)
    assert output.refined.shape == image.shape
    sum(x.square().mean() for x in output).backward()
    weights = [p.grad for name, p in theirs.named_parameters() if name.endswith("conv.weight")]
    assert all(grad is not None and grad.abs().max() > 0 for grad in weights)


def test_discriminator_ends_in_a_leak() -> None:
    discriminator = SNPatchDiscriminator(2).eval()
    image, mask = torch.rand(2, 3, 64, 64), torch.ones(2, 1, 64, 64)
    logits = discriminator(image, mask)
    torch.testing.assert_close(LeakyPatches(discriminator)(image, mask), torch.where(logits < 0, 0.2 * logits, logits))


def test_total_variation_is_squared_and_of_the_output_outside_of_the_hole_too() -> None:
    config = released(small())
    ramp = torch.arange(4.0).expand(2, 3, 4, 4) / 2  # steps of 1/2 from left to right
    image, mask = torch.zeros(2, 3, 4, 4), torch.zeros(2, 1, 4, 4)
    batch = Batch(image, mask, image, mask)
    embedding = torch.randn(4, 8)  # of two images and their twins
    output = InpaintOutput(ramp, ramp, embedding)
    terms = released_terms(output, batch, discriminator=None, features=torch.nn.Identity(), config=config)
    assert terms["total_variation"].item() == pytest.approx(0.25)
    assert terms["reconstruction"] > 0


def test_recipe_differs_where_it_says_and_nowhere_else() -> None:
    ours, theirs = small().to_dict(), released(small()).to_dict()
    assert {name for name in ours if ours[name] != theirs[name]} <= {
        *("weights", "hole_weight", "valid_weight", "area_normalized", "window", "warmup_steps"),
        *("discriminator_every", "learning_rate_generator", "learning_rate_discriminator", "ema_decay"),
    }
    assert theirs["weights"]["perceptual"] == theirs["weights"]["style"] == 0
    assert not released(small()).needs_features


def clock(step: float) -> Iterator[float]:
    now = 0.0
    while True:
        yield now
        now += step


@pytest.mark.parametrize("is_released", [False, True])
def test_trains_until_the_time_is_over(training_set: Path, is_released: bool) -> None:
    config = replace(smoke(), weights=replace(smoke().weights, perceptual=0.0, style=0.0))
    config = released(config) if is_released else config
    ticks = clock(0.25)
    network, steps = train_for(str(training_set), config, 1.0, is_released=is_released, clock=lambda: next(ticks))
    assert steps == 3  # at 0.25, 0.5 and 0.75; at 1.0 the time is over
    begun = InpaintGenerator(config.base_channels)
    assert not network.training
    assert len(network.state_dict()) == len((as_released(begun) if is_released else begun).state_dict())
    assert all(parameter.isfinite().all() for parameter in network.parameters())


def test_one_table_for_both(
    training_set: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = replace(smoke(), weights=replace(smoke().weights, perceptual=0.0, style=0.0))
    monkeypatch.setattr(released_recipe, "small", lambda: plain)
    monkeypatch.setattr(released_recipe, "measure", _without_networks(released_recipe.measure))
    monkeypatch.setattr(released_recipe, "LPIPS", lambda net: None)
    command = ["--data", str(training_set), "--minutes", "0.01", "--output", str(tmp_path / "table.md")]
    assert released_recipe.main(command) == 0
    text = (tmp_path / "table.md").read_text("utf-8")
    assert capsys.readouterr().out == text
    assert text.startswith("| method | PSNR hole | SSIM hole |")
    assert "| our recipe | " in text and "| released recipe | " in text
    means = [float(row.split(" | ")[1].strip("*")) for row in text.splitlines()[2:4]]
    gain = re.search(r"- ours minus released, PSNR hole: ([+-][\d.]+) \(", text)
    assert gain and float(gain[1]) == pytest.approx(means[0] - means[1], abs=0.011)


def _without_networks(measure):
    return lambda batches, fills, networks, **about: measure(batches, fills, (), distances=False, **about)


def test_missing_data_gets_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert released_recipe.main(["--data", str(tmp_path), "--minutes", "1"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_what_judges_is_there_before_the_training(
    training_set: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def offline(net: str) -> None:
        raise RuntimeError("the weights came from nowhere")

    monkeypatch.setattr(released_recipe, "LPIPS", offline)
    monkeypatch.setattr(released_recipe, "train_for", lambda *_, **__: pytest.fail("it trained"))
    assert released_recipe.main(["--data", str(training_set), "--minutes", "1"]) == 2
    assert "from nowhere" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("is_released", "rates", "judged"), [(False, [1, 1, 1, 0.6], [1, 2, 3]), (True, [], [0, 1, 2, 3])]
)
def test_ours_warms_up_for_a_third_of_the_time_and_slows_down_over_the_last(
    training_set: Path, monkeypatch: pytest.MonkeyPatch, is_released: bool, rates: list[float], judged: list[int]
) -> None:
    config = replace(smoke(), weights=replace(smoke().weights, perceptual=0.0, style=0.0), discriminator_every=1)
    config = released(config) if is_released else config
    ticks, given, steps = clock(0.2), [], iter(range(9))
    asked: list[int] = []
    generate = timed_training.generate
    monkeypatch.setattr(timed_training, "generate", lambda *inputs: (asked.append(next(steps)), generate(*inputs))[1])
    monkeypatch.setattr(timed_training.NetworkOptimizer, "set_rate", lambda self, share: given.append(share))
    turns: list[int] = []
    monkeypatch.setattr(timed_training, "discriminator_step", lambda *_: turns.append(asked[-1]))
    train_for(str(training_set), config, 1.0, is_released=is_released, clock=lambda: next(ticks))
    assert given[::2] == given[1::2] == pytest.approx(rates)  # of both networks
    assert turns == judged
