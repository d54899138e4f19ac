import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from examples.mask_removal import checkpoint, train
from examples.mask_removal.config import PRESETS, Config, LossWeights, from_dict, paper, read_config, small, smoke
from examples.mask_removal.data import Batch
from examples.mask_removal.progress import forget_after
from examples.mask_removal.steps import discriminator_loss, generator_terms, update_average
from examples.mask_removal.train import Arguments, learning_rate_factor
from examples.mask_removal.twin import Twin, split_twins, with_twins
from gatedinpaint import (
    InpaintGenerator,
    SNPatchDiscriminator,
    gradient_report,
    load_model,
    read_photo,
    weighted_sum,
)


class Pyramid(nn.Module):
    """Features that need no weights."""

    def forward(self, image: Tensor) -> list[Tensor]:
        return [image, F.avg_pool2d(image, 2)]


@pytest.fixture(autouse=True)
def _features_without_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "build_features", lambda name: Pyramid())


def arguments(data: Path, output: Path) -> Arguments:
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
    assert (lines[0]["learning_rate"], lines[-1]["learning_rate"]) == (1e-4, 0.5e-4)
    seconds = sum(2 / line["images_per_second"] for line in lines)  # batches of 2, every step logged
    assert seconds == pytest.approx(lines[-1]["seconds"], rel=0.05, abs=0.1)
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
    with (tmp_path / "cut" / "log.jsonl").open("a") as log:
        log.write('{"step": 3, "total": 0.0}\n')  # trained after the checkpoint, and lost with the interruption
    train.train(arguments(training_set, tmp_path / "cut"), smoke())
    logs = [(tmp_path / name / "log.jsonl").read_text().splitlines() for name in ("whole", "cut")]
    assert [[json.loads(line)["step"] for line in log] for log in logs] == [[1, 2, 3, 4]] * 2
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
    stages = {"coarse": generator.coarse, "refine": generator.refine}
    lpips = terms.pop("lpips")  # needs AlexNet; 0 without it
    norms = gradient_report(terms, stages).norms
    assert lpips == 0
    for name in ("adversarial", "total_variation", "contrastive", "perceptual", "style", "reconstruction"):
        for stage in stages:
            assert 0 < norms[name][stage] < float("inf"), (name, stage)


def test_discriminator_loss_stays_out_of_the_generator() -> None:
    discriminator = SNPatchDiscriminator(2)
    fake = torch.zeros(2, 3, 32, 32)
    loss = discriminator_loss(discriminator, batch(), fake)
    loss.backward()
    assert all(parameter.grad is not None for parameter in discriminator.parameters())
    # Untrained and spectrally normalised, it scores near 0, where the hinge is 1 + 1.
    assert loss.item() == pytest.approx(2.0, abs=0.6)


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
    with pytest.raises(ValueError, match=r"unknown or missing settings \['widht'\]"):
        from_dict(paper().to_dict() | {"widht": 3})
    for setting in ({"log_every": 0}, {"base_channels": 0}, {"warmup_steps": -1}, {"features": "vgg"}):
        with pytest.raises(ValueError, match=next(iter(setting))):
            replace(paper(), **setting)
    with pytest.raises(ValueError, match="nothing to train"):
        Config(epochs_constant=0, epochs_decay=0)


@pytest.mark.parametrize(
    "content",
    ["", "not JSON", "[]", "{}", "\xff", {"weights": {"styl": 1.0}}, {"weights": 3}, {"batch_size": "4"}]
    + [{"betas": 0.5}, {"betas": [0.5, None]}, {"channels_last": 1}, {"batch_size": 4.0}, {"seed": True}],
    ids=repr,
)
def test_a_broken_config_file_is_named(content: str | dict, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    text = content if isinstance(content, str) else json.dumps(paper().to_dict() | content)
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match="config.json: not a configuration: ") as raised:
        read_config(path)
    assert "\n" not in str(raised.value)


def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path: Path) -> None:
    assert checkpoint.load_checkpoint(tmp_path) is None
    checkpoint.save_checkpoint(tmp_path, {"step": 1})
    checkpoint.save_checkpoint(tmp_path, {"step": 2})
    assert checkpoint.load_checkpoint(tmp_path) == {"step": 2}
    (tmp_path / checkpoint.FILE).write_bytes(b"half a file")
    assert checkpoint.load_checkpoint(tmp_path) == {"step": 1}
    checkpoint.save_checkpoint(tmp_path, {"step": 3})  # must not put the damaged file in the place of the good one
    assert torch.load(tmp_path / checkpoint.PREVIOUS_FILE, weights_only=True) == {"step": 1}
    (tmp_path / checkpoint.FILE).write_bytes(b"half a file")
    assert checkpoint.load_checkpoint(tmp_path) == {"step": 1}
    (tmp_path / checkpoint.PREVIOUS_FILE).write_bytes(b"")
    with pytest.raises(ValueError, match="no checkpoint can be read"):
        checkpoint.load_checkpoint(tmp_path)


def command(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["train", *map(str, words)])
    return train.main()


def test_command_line_says_in_one_line_what_is_wrong(
    training_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def error(*words: object) -> str:
        assert command(monkeypatch, *words) == 2
        text = capsys.readouterr().err
        assert text.count("\n") == 1
        return text.strip()

    run, file = tmp_path / "run", tmp_path / "file"
    file.write_text("")
    known = ("--data", training_set, "--preset", "smoke", "--workers", 0)
    assert error("--data", tmp_path, "--output", run) == (
        f"train: {tmp_path}: no samples in index.jsonl. Write a training set with prepare.py first."
    )
    assert error(*known, "--output", run, "--device", "foo").startswith("train: --device foo: cannot be used: ")
    assert "--threads must be 1 or more; got 0" in error(*known, "--output", run, "--threads", 0)
    assert str(file) in error(*known, "--output", file)
    assert not run.exists()  # nothing is written before everything is there


def test_a_run_keeps_its_configuration(
    training_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known = ("--data", training_set, "--output", tmp_path / "run", "--workers", 0)
    assert command(monkeypatch, *known, "--preset", "smoke") == 0
    assert "configuration smoke" in capsys.readouterr().out
    assert command(monkeypatch, *known) == 0  # not small, which would not fit the checkpoint
    assert "configuration smoke" in capsys.readouterr().out
    assert command(monkeypatch, *known, "--preset", "paper") == 2
    error = capsys.readouterr().err
    assert "begun with another configuration than --preset paper" in error and error.count("\n") == 1
    other = replace(smoke(), base_channels=4)
    (tmp_path / "run" / "config.json").write_text(json.dumps(other.to_dict()))
    assert command(monkeypatch, *known) == 2
    error = capsys.readouterr().err
    assert "checkpoint.pt: does not fit" in error and error.count("\n") == 1


def test_a_set_too_small_for_the_warm_up_is_warned_of(
    training_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one_step = replace(smoke(), epochs_constant=0.5, epochs_decay=0.0)
    train.train(arguments(training_set, tmp_path / "run"), replace(one_step, warmup_steps=1))
    assert "5 training samples make 1 steps, all within the warm-up of 1" in capsys.readouterr().err
    train.train(arguments(training_set, tmp_path / "other"), one_step)
    assert capsys.readouterr().err == ""


def test_lines_after_the_checkpoint_are_forgotten(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    forget_after(3, log)
    assert not log.exists()
    log.write_text('{"step": 2}\n{"step": 3}\n{"step": 4}\n{"step": 5, "cut')
    forget_after(3, log)
    assert log.read_text() == '{"step": 2}\n{"step": 3}\n'
    log.write_text("damaged\n")
    with pytest.raises(ValueError, match="log.jsonl: damaged"):
        forget_after(3, log)


@pytest.mark.slow
def test_training_learns(training_set: Path, tmp_path: Path) -> None:
    # On so few faces the other terms only pull against each other: the reconstruction alone must fall.
    reconstruction = LossWeights(adversarial=0, total_variation=0, contrastive=0, perceptual=0, style=0)
    config = replace(smoke(), base_channels=4, weights=reconstruction, epochs_constant=80, learning_rate_generator=1e-3)
    config = replace(config, epochs_decay=40, twin_colour=0.0, twin_hue=0.0, sheet_every=1000, checkpoint_every=1000)
    train.train(arguments(training_set, tmp_path / "run"), config)
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert len(lines) == 240
    first, last = (sum(line["reconstruction"] for line in part) for part in (lines[:10], lines[-10:]))
    assert last < 0.5 * first


@pytest.mark.slow
def test_a_step_at_the_papers_width() -> None:
    torch.manual_seed(0)
    generator, discriminator = InpaintGenerator(32), SNPatchDiscriminator(32)
    twins = with_twins(batch(2, 256), Twin())
    output = generator(*twins)
    terms = generator_terms(output, twins, discriminator=discriminator, features=Pyramid(), config=paper())
    weighted_sum(terms, paper().to_dict()["weights"]).backward()
    assert output.refined.shape == (4, 3, 256, 256)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in generator.parameters())
