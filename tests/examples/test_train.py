import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from examples.mask_removal import checkpoint, train
from examples.mask_removal.config import PRESETS, Config, LossWeights, from_dict, paper, small, smoke
from examples.mask_removal.data import Batch
from examples.mask_removal.steps import discriminator_loss, generator_terms, update_average, weighted_sum
from examples.mask_removal.train import Arguments, learning_rate_factor
from examples.mask_removal.twin import Twin, split_twins, with_twins
from gatedinpaint import InpaintGenerator, SNPatchDiscriminator, load_model, read_photo


class Pyramid(nn.Module):
    """Features that need no weights."""

    def forward(self, image: Tensor) -> list[Tensor]:
        return [image, F.avg_pool2d(image, 2)]


@pytest.fixture(autouse=True)
def _features_without_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "build_features", lambda name: Pyramid())


def arguments(data: Path, output: Path) -> Arguments:
    output.mkdir(exist_ok=True)
    return Arguments(data=data, output=output, preset="smoke", device="cpu", workers=0)


def batch(count: int = 2, size: int = 32) -> Batch:
    generator = torch.Generator().manual_seed(0)
    image, reference = (torch.rand(count, 3, size, size, generator=generator) * 2 - 1 for _ in range(2))
    mask = torch.zeros(count, 1, size, size)
    mask[..., size // 2 :, size // 4 : -size // 4] = 1
    return Batch(image, mask, reference, torch.ones_like(mask))


def test_a_run_writes_what_it_promises(training_set: Path, tmp_path: Path) -> None:
    train.train(arguments(training_set, tmp_path / "run"), smoke())
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert {"adversarial", "reconstruction", "total_variation", "contrastive", "perceptual", "style"} < lines[0].keys()
    assert lines[0]["rate_factor"] == 1.0 and lines[-1]["rate_factor"] == 0.5
    sheet = read_photo(tmp_path / "run" / "samples" / "0000004.png")
    assert sheet.shape[1] > 5 * 64
    assert load_model(tmp_path / "run" / "generator").base_channels == 2


def test_an_interrupted_run_ends_like_an_uninterrupted_one(
    training_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train.train(arguments(training_set, tmp_path / "whole"), smoke())
    original = checkpoint.save_checkpoint

    def save_and_stop(folder: Path, state: dict) -> None:
        original(folder, state)
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "save_checkpoint", save_and_stop)
    with pytest.raises(KeyboardInterrupt):
        train.train(arguments(training_set, tmp_path / "cut"), smoke())
    monkeypatch.setattr(train, "save_checkpoint", original)
    torch.rand(7)
    train.train(arguments(training_set, tmp_path / "cut"), smoke())
    whole, cut = (checkpoint.load_checkpoint(tmp_path / name) for name in ("whole", "cut"))
    assert whole is not None and cut is not None
    assert (whole["step"], cut["step"]) == (4, 4)
    for name in ("generator", "discriminator", "average"):
        for key, value in whole[name].items():
            assert torch.equal(value, cut[name][key]), key
    assert torch.equal(whole["random"], cut["random"])


def test_schedule_is_constant_then_linear_to_zero() -> None:
    config = replace(paper(), epochs_constant=10, epochs_decay=5)
    factors = [learning_rate_factor(step, 100, config) for step in (0, 999, 1000, 1250, 1499, 1500)]
    assert factors == pytest.approx([1, 1, 1, 0.5, 0.002, 0])


def test_every_term_reaches_the_network_it_is_meant_for() -> None:
    torch.manual_seed(0)
    generator, discriminator = InpaintGenerator(2), SNPatchDiscriminator(2)
    twins = with_twins(batch(), Twin())
    terms = generator_terms(generator(*twins), twins, discriminator=discriminator, features=Pyramid(), config=smoke())
    only_refine = {"adversarial", "total_variation", "contrastive", "perceptual", "style", "reconstruction"}
    for name in only_refine:
        gradients = torch.autograd.grad(terms[name], list(generator.parameters()), retain_graph=True, allow_unused=True)
        assert any(g is not None and g.abs().max() > 0 for g in gradients), name
        assert all(g is None or g.isfinite().all() for g in gradients), name


def test_discriminator_loss_stays_out_of_the_generator() -> None:
    discriminator = SNPatchDiscriminator(2)
    fake = torch.zeros(2, 3, 32, 32)
    loss = discriminator_loss(discriminator, batch(), fake)
    loss.backward()
    assert all(parameter.grad is not None for parameter in discriminator.parameters())
    # Untrained and spectrally normalised, it scores near 0, where the hinge is 1 + 1.
    assert loss.item() == pytest.approx(2.0, abs=0.6)


def test_weighted_sum_wants_one_weight_for_each_term() -> None:
    terms = {"style": torch.tensor(2.0), "lpips": torch.tensor(3.0)}
    assert weighted_sum(terms, {"style": 10.0, "lpips": 1.0}) == 23.0
    with pytest.raises(ValueError, match="only in one of them: lpips"):
        weighted_sum(terms, {"style": 10.0})
    with pytest.raises(ValueError, match="only in one of them: perceptual"):
        weighted_sum(terms, {"style": 1.0, "lpips": 1.0, "perceptual": 1.0})


def test_average_moves_towards_the_network() -> None:
    average, network = nn.Linear(2, 2), nn.Linear(2, 2)
    nn.init.zeros_(average.weight)
    nn.init.ones_(network.weight)
    update_average(average, network, 0.75)
    assert torch.equal(average.weight, torch.full((2, 2), 0.25))


def test_twin_is_mirrored_recoloured_and_in_range() -> None:
    torch.manual_seed(0)
    one = batch()
    twin = Twin()(one)
    assert torch.equal(twin.mask, one.mask.flip(-1))
    assert twin.image.min() >= -1 and twin.image.max() <= 1
    assert not torch.allclose(twin.image, one.image.flip(-1), atol=1e-3)
    unchanged = Twin(colour=0.0, hue=0.0)(one)
    torch.testing.assert_close(unchanged.image, one.image.flip(-1), rtol=0, atol=1e-4)
    both = with_twins(one, Twin())
    assert len(both.image) == 4
    images, twins = split_twins(torch.arange(4.0)[:, None])
    assert (images.flatten().tolist(), twins.flatten().tolist()) == ([0, 1], [2, 3])


def test_paper_preset_is_the_papers() -> None:
    config = paper()
    assert (config.base_channels, config.features, config.epochs_constant, config.epochs_decay) == (32, "vgg19", 10, 5)
    assert config.weights == LossWeights(adversarial=0.1, perceptual=0.05, style=80.0)
    assert (config.learning_rate_generator, config.learning_rate_discriminator, config.betas) == (
        1e-4,
        4e-4,
        (0.5, 0.999),
    )


@pytest.mark.parametrize("preset", [paper, small, smoke])
def test_configuration_round_trips_through_json(preset) -> None:
    assert from_dict(json.loads(json.dumps(preset().to_dict()))) == preset()
    assert PRESETS[preset.__name__] is preset


def test_bad_configurations() -> None:
    with pytest.raises(ValueError, match='needs features="alexnet"; got features="vgg19"'):
        Config(weights=LossWeights(lpips=1.0))
    with pytest.raises(ValueError, match="batch_size must be 2 or more"):
        Config(batch_size=1)
    with pytest.raises(ValueError, match=r"unknown settings \['widht'\]"):
        from_dict(paper().to_dict() | {"widht": 3})


def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path: Path) -> None:
    assert checkpoint.load_checkpoint(tmp_path) is None
    checkpoint.save_checkpoint(tmp_path, {"step": 1})
    checkpoint.save_checkpoint(tmp_path, {"step": 2})
    assert checkpoint.load_checkpoint(tmp_path) == {"step": 2}
    (tmp_path / checkpoint.FILE).write_bytes(b"half a file")
    assert checkpoint.load_checkpoint(tmp_path) == {"step": 1}
    (tmp_path / checkpoint.PREVIOUS_FILE).write_bytes(b"")
    with pytest.raises(ValueError, match="no checkpoint can be read"):
        checkpoint.load_checkpoint(tmp_path)


def test_command_line_says_in_one_line_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["train", "--data", str(tmp_path), "--output", str(tmp_path / "run")])
    assert train.main() == 2
    error = capsys.readouterr().err.strip()
    assert error == f"train: {tmp_path}: no samples in index.jsonl. Write a training set with prepare.py first."
