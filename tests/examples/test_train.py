import errno
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from examples.mask_removal import train, validation
from examples.mask_removal.arguments import Arguments, parse, write_config
from examples.mask_removal.checkpoint import load_last_checkpoint
from examples.mask_removal.config import Config, LossWeights, paper, small, smoke
from examples.mask_removal.data import Batch, FaceDataset
from examples.mask_removal.distributed import Ranks, ranks
from examples.mask_removal.random_state import seed_everything
from examples.mask_removal.resume import Position
from examples.mask_removal.run_log import RunLog, forget_after
from examples.mask_removal.schedule import learning_rate_factor, total_steps
from examples.mask_removal.steps import discriminator_loss, generator_terms, update_average
from examples.mask_removal.twin import Twin, split_twins, with_twins
from gatedinpaint import (
    InpaintGenerator,
    SNPatchDiscriminator,
    gradient_report,
    load_model,
    read_photo,
    save_model,
    weighted_sum,
)


class Pyramid(nn.Module):
    """Features that need no weights."""

    def forward(self, image: Tensor) -> list[Tensor]:
        return [image, F.avg_pool2d(image, 2)]


@pytest.fixture(autouse=True)
def _features_without_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "build_features", lambda name: Pyramid())


KEYS = [(0, 0, place) for place in range(2)]


def run(data: Path, output: Path, config: Config | None = None) -> None:
    with ranks("cpu") as place:
        train.train(Arguments(str(data), output, device="cpu", workers=0, config=config or smoke()), place)


def batch(count: int = 2, size: int = 32) -> Batch:
    generator = torch.Generator().manual_seed(0)
    image, reference = (torch.rand(count, 3, size, size, generator=generator) * 2 - 1 for _ in range(2))
    mask = torch.zeros(count, 1, size, size)
    mask[..., size // 2 :, size // 4 : -size // 4] = 1
    return Batch(image, mask, reference, torch.ones_like(mask))


def test_a_run_writes_what_it_promises(training_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(training_set, tmp_path / "run")
    shown = capsys.readouterr().out  # no terminal here, so no bar: a line for each look
    assert re.findall(r"^step (\d) of 4, [\d.]+ images/s, (\d:\d\d:\d\d) left: psnr", shown, re.M)[-1] == (
        "4",
        "0:00:00",
    )
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert {"adversarial", "reconstruction", "total_variation", "contrastive", "perceptual", "style"} < lines[0].keys()
    assert (lines[0]["learning_rate"], lines[-1]["learning_rate"]) == (1e-4, 0.5e-4)
    seconds = sum(2 / line["images_per_second"] for line in lines)  # batches of 2, every step logged
    assert seconds == pytest.approx(lines[-1]["seconds"], rel=0.05, abs=0.1)
    assert all(line["discriminator"] > 0 for line in lines)
    sheet = read_photo(tmp_path / "run" / "samples" / "0000004.png")
    assert sheet.shape[1] > 5 * 64
    assert len(read_photo(tmp_path / "run" / "sheet.png")) > 2 * 64  # two looks, one below the other
    assert read_photo(tmp_path / "run" / "curves.png").std() > 0
    looks = [json.loads(line) for line in (tmp_path / "run" / "validation.jsonl").read_text().splitlines()]
    assert [look["step"] for look in looks] == [2, 4]
    assert all(0 < look["psnr"] < 40 and -1 <= look["ssim"] <= 1 for look in looks)
    assert list((tmp_path / "run" / "tensorboard").glob("events.*"))
    for name in ("generator", "best"):
        assert load_model(tmp_path / "run" / name).base_channels == 2
    assert not (tmp_path / "run" / "damaged.txt").exists()


def test_schedule_is_constant_then_linear_to_zero() -> None:
    config = replace(paper(), epochs_constant=10, epochs_decay=5)
    factors = [learning_rate_factor(step, 100, config) for step in (0, 999, 1000, 1250, 1499, 1500)]
    assert factors == pytest.approx([1, 1, 1, 0.5, 0.002, 0])
    assert total_steps(config, 100) == 1500
    in_steps = replace(config, steps_constant=10, steps_decay=20)
    assert total_steps(in_steps, 100) == 30
    assert [learning_rate_factor(step, 100, in_steps) for step in (9, 20, 30)] == pytest.approx([1, 0.5, 0])
    assert learning_rate_factor(10, 100, replace(config, steps_constant=10, steps_decay=0)) == 0


def test_every_term_reaches_the_network_it_is_meant_for() -> None:
    torch.manual_seed(0)
    generator, discriminator = InpaintGenerator(2), SNPatchDiscriminator(2)
    twins = with_twins(batch(), Twin(), KEYS)
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
    loss = discriminator_loss(discriminator, batch(), fake, smoke())
    loss.backward()
    assert all(parameter.grad is not None for parameter in discriminator.parameters())
    # Untrained and spectrally normalised, it scores near 0, where the hinge is 1 + 1.
    assert loss.item() == pytest.approx(2.0, abs=0.6)


def test_average_moves_towards_the_network() -> None:
    average, network = nn.Linear(2, 2), nn.Linear(2, 2)
    nn.init.zeros_(average.weight)
    nn.init.ones_(network.weight)
    update_average(average, list(network.parameters()), 0.75)
    assert torch.equal(average.weight, torch.full((2, 2), 0.25))


def test_twin_is_mirrored_recoloured_and_in_range() -> None:
    torch.manual_seed(0)
    one = batch()
    twin = Twin()(one, KEYS)
    assert torch.equal(twin.mask, one.mask.flip(-1))
    assert twin.image.min() >= -1 and twin.image.max() <= 1
    assert not torch.allclose(twin.image, one.image.flip(-1), atol=1e-3)
    unchanged = Twin(colour=0.0, hue=0.0)(one, KEYS)
    torch.testing.assert_close(unchanged.image, one.image.flip(-1), rtol=0, atol=1e-4)
    half_known = one._replace(reference_mask=one.mask, reference=one.reference * one.mask)
    twin = Twin()(half_known, KEYS)
    assert torch.equal(twin.reference_mask, one.mask.flip(-1))
    assert (twin.reference[(twin.reference_mask == 0).expand_as(twin.reference)] == 0).all()
    both = with_twins(one, Twin(), KEYS)
    assert len(both.image) == 4
    images, twins = split_twins(torch.arange(4.0)[:, None])
    assert (images.flatten().tolist(), twins.flatten().tolist()) == ([0, 1], [2, 3])


def test_command_line_says_in_one_line_what_is_wrong(
    training_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def error(*words: object) -> str:
        assert train.main([*map(str, words)]) == 2
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
    assert "--workers must be 0 or more; got -1" in error(*known, "--output", run, "--workers", -1)
    assert "batch_size 3 must be a multiple of ranks × accumulation (1 × 2)" in error(
        *known, "--output", run, "--batch-size", 3, "--accumulation", 2
    )
    assert "5 training samples are fewer than a batch of 8" in error(*known, "--output", run, "--batch-size", 8)
    assert str(file) in error(*known, "--output", file)
    assert not run.exists()  # nothing is written before everything is there


def test_a_run_keeps_its_configuration(training_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known = ["--data", str(training_set), "--output", str(tmp_path / "run"), "--workers", "0"]
    assert train.main([*known, "--preset", "smoke"]) == 0
    assert "preset: smoke;" in capsys.readouterr().out
    assert train.main(known) == 0  # not small, which would not fit the checkpoint
    assert "preset: smoke;" in capsys.readouterr().out
    assert train.main([*known, "--seed", "3"]) == 2
    error = capsys.readouterr().err
    assert "begun with another configuration: seed 0 → 3. Leave" in error and error.count("\n") == 1
    other = replace(smoke(), base_channels=4)
    (tmp_path / "run" / "config.json").write_text(json.dumps(other.to_dict()))
    assert train.main(known) == 2
    error = capsys.readouterr().err
    assert "checkpoint of step 4 does not fit" in error and error.count("\n") == 1


def test_a_run_can_start_from_the_weights_of_another(
    training_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(7)
    first = InpaintGenerator(2)
    save_model(first, tmp_path / "first")
    known = ["--data", str(training_set), "--preset", "smoke", "--workers", "0"]
    known += ["--start-from", str(tmp_path / "first"), "--learning-rate-generator", "0"]
    assert train.main([*known, "--output", str(tmp_path / "run")]) == 0
    assert "preset: smoke, changed;" in capsys.readouterr().out
    stored = load_model(tmp_path / "run" / "generator").state_dict()
    for name, weight in first.state_dict().items():
        torch.testing.assert_close(stored[name], weight, rtol=1e-3, atol=1e-6)  # stored in half precision
    assert train.main([*known, "--output", str(tmp_path / "other"), "--base-channels", "4"]) == 2
    error = capsys.readouterr().err
    assert "expected base_channels 4; got 2. Choose --base-channels 2" in error and error.count("\n") == 1
    assert not (tmp_path / "other").exists()


def test_the_first_stage_by_itself_and_then_both(
    training_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(7)
    refined = InpaintGenerator(2)
    save_model(refined, tmp_path / "refined")
    known = ["--data", str(training_set), "--preset", "smoke", "--workers", "0", "--coarse", "unet"]
    alone = ["--coarse-only", "--weights.contrastive", "0", "--weights.adversarial", "0"]
    assert train.main([*known, *alone, "--output", str(tmp_path / "first"), "--start-from", str(tmp_path / "refined"),
                       "--coarse-from", str(tmp_path / "refined")]) == 2  # fmt: skip
    assert "expected coarse unet; got dilated. Choose --coarse dilated" in capsys.readouterr().err
    assert train.main([*known, *alone, "--output", str(tmp_path / "first")]) == 0
    first = load_model(tmp_path / "first" / "generator")
    seed_everything(smoke().seed)
    fresh = InpaintGenerator(2, coarse="unet")
    assert _moved(fresh.coarse, first.coarse) and not _moved(fresh.refine, first.refine)

    both = ["--start-from", str(tmp_path / "refined"), "--coarse-from", str(tmp_path / "first" / "generator")]
    assert train.main([*known, *both, "--output", str(tmp_path / "run"), "--learning-rate-generator", "0"]) == 0
    joined = load_model(tmp_path / "run" / "generator")
    assert not _moved(first.coarse, joined.coarse) and not _moved(refined.refine, joined.refine)


def test_updates_are_trained_alone_and_gone_on_with(
    training_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(7)
    save_model(InpaintGenerator(2), tmp_path / "plain")
    known = ["--data", str(training_set), "--preset", "smoke", "--workers", "0"]
    known += ["--reference-share", "1", "--reference-rank", "2"]
    assert train.main([*known, "--start-from", str(tmp_path / "plain"), "--output", str(tmp_path / "run")]) == 0
    plain, first = load_model(tmp_path / "plain"), load_model(tmp_path / "run" / "generator")
    assert first.config == {**plain.config, "reference_rank": 2}
    assert not _moved(plain.coarse, first.coarse) and not _moved(plain.refine, first.refine)
    cores = [change.core for change in first.guided.changes.values()]
    assert sum(bool(core.any()) for core in cores) > 0.9 * len(cores)

    still = [*known, "--learning-rate-generator", "0", "--start-from", str(tmp_path / "run" / "generator")]
    assert train.main([*still, "--output", str(tmp_path / "more")]) == 0
    assert not _moved(first.guided, load_model(tmp_path / "more" / "generator").guided)
    capsys.readouterr()
    assert train.main([*still, "--output", str(tmp_path / "other"), "--reference-rank", "3"]) == 2
    assert "expected reference_rank 3; got 2. Choose --reference-rank 2" in capsys.readouterr().err


def test_all_skips_begin_as_the_deep_ones_they_are_added_to(
    training_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(7)
    save_model(InpaintGenerator(2), tmp_path / "deep")
    known = ["--data", str(training_set), "--preset", "smoke", "--workers", "0", "--learning-rate-generator", "0"]
    more = ["--skips", "all", "--self-ensemble", "--start-from", str(tmp_path / "deep")]
    assert train.main([*known, *more, "--output", str(tmp_path / "run")]) == 0
    wide = load_model(tmp_path / "run" / "generator")
    assert wide.config == {"base_channels": 2, "reference": True, "skips": "all", "self_ensemble": True}
    deep = InpaintGenerator(2, self_ensemble=True).eval()
    # A run's generator is stored in half precision.
    weights = {name: weight.half().float() for name, weight in load_model(tmp_path / "deep").state_dict().items()}
    deep.load_state_dict(weights)
    image, mask = torch.rand(1, 3, 32, 32) * 2 - 1, torch.ones(1, 1, 32, 32)
    output = wide(image, mask, image)
    torch.testing.assert_close(output.refined, deep(image, mask, image).refined, rtol=0, atol=1e-5)
    # The added filters learn: nothing that feeds them is 0 for good.
    wide.train()(image, mask, image).refined.square().mean().backward()
    for block in wide.refine.polish:
        assert block.fuse.conv.weight.grad[: block.channels].abs().max() > 0
    assert wide.refine.up_2[0].weight.grad[:, -1].abs().max() > 0

    less = ["--start-from", str(tmp_path / "run" / "generator"), "--output", str(tmp_path / "less")]
    assert train.main([*known, *less]) == 2
    assert "expected skips deep; got all. Choose --skips all" in capsys.readouterr().err


def _moved(stage: torch.nn.Module, other: torch.nn.Module) -> bool:
    """Whether any weight differs by more than storing in half precision does."""
    pairs = zip(stage.state_dict().values(), other.state_dict().values(), strict=True)
    return not all(torch.allclose(a, b, rtol=1e-3, atol=1e-6) for a, b in pairs)


def test_every_setting_is_an_option(tmp_path: Path) -> None:
    known = ["--data", "set", "--output", str(tmp_path)]
    assert parse(known).config == small()
    words = ["--preset", "paper", "--precision", "fp32", "--weights.style", "40", "--betas", "0.9", "0.99"]
    expected = replace(paper(), precision="fp32", weights=replace(paper().weights, style=40.0), betas=(0.9, 0.99))
    assert parse([*known, *words]).config == expected
    write_config(tmp_path, expected)
    assert parse(known).config == expected  # that of the run that is there
    assert parse([*known, *words]).config == expected  # as an elastic restart says it


def test_a_set_too_small_for_the_warm_up_is_warned_of(
    training_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one_step = replace(smoke(), epochs_constant=0.5, epochs_decay=0.0)
    run(training_set, tmp_path / "run", replace(one_step, warmup_steps=1))
    assert "5 training samples make 1 steps, all within the warm-up of 1" in capsys.readouterr().err
    run(training_set, tmp_path / "other", one_step)
    without = replace(one_step, warmup_steps=1, weights=replace(one_step.weights, adversarial=0.0))
    run(training_set, tmp_path / "without", without)
    assert capsys.readouterr().err == ""


def test_without_its_term_the_discriminator_does_not_learn(training_set: Path, tmp_path: Path) -> None:
    run(training_set, tmp_path / "run", replace(smoke(), weights=replace(smoke().weights, adversarial=0.0)))
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert all(line["discriminator"] == line["adversarial"] == 0 for line in lines)
    assert all(line["reconstruction"] > 0 for line in lines)


def test_damaged_samples_are_named_and_too_many_end_the_run(
    training_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faces = tmp_path / "faces"
    shutil.copytree(training_set, faces)
    victim = FaceDataset(faces).samples[0]["id"]  # one of five
    (faces / "samples" / f"{victim}.png").write_bytes(b"no picture")
    known = ["--data", str(faces), "--preset", "smoke", "--workers", "0"]
    assert train.main([*known, "--output", str(tmp_path / "run"), "--damaged-limit", "0.5"]) == 0
    named = (tmp_path / "run" / "damaged.txt").read_text()
    assert named.startswith(f"{victim}\t") and named.count("\n") == 1
    capsys.readouterr()
    assert train.main([*known, "--output", str(tmp_path / "other"), "--damaged-limit", "0.1"]) == 2
    error = capsys.readouterr().err
    assert "damaged" in error and victim in error and error.count("\n") == 1


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
    run(training_set, tmp_path / "run", config)
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert len(lines) == 240
    first, last = (sum(line["reconstruction"] for line in part) for part in (lines[:10], lines[-10:]))
    assert last < 0.5 * first


@pytest.mark.slow
def test_a_step_at_the_papers_width() -> None:
    torch.manual_seed(0)
    generator, discriminator = InpaintGenerator(32), SNPatchDiscriminator(32)
    twins = with_twins(batch(2, 256), Twin(), KEYS)
    output = generator(*twins)
    terms = generator_terms(output, twins, discriminator=discriminator, features=Pyramid(), config=paper())
    weighted_sum(terms, paper().to_dict()["weights"]).backward()
    assert output.refined.shape == (4, 3, 256, 256)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in generator.parameters())


def test_a_run_that_diverges_ends_and_says_how_to_go_on(training_set: Path, tmp_path: Path) -> None:
    config = replace(smoke(), learning_rate_generator=0.3, steps_constant=60, sheet_every=100)
    with pytest.raises(
        FloatingPointError, match="diverged, its reconstruction loss is .* --start-from BEST.*--clip-norm"
    ):
        run(training_set, tmp_path / "run", config)


def test_all_that_learns_begins_with_the_weights_of_the_first_rank(
    training_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The average and the masters of O2 too, which ``DistributedDataParallel`` knows nothing of."""

    def alike(_: Ranks, network: nn.Module) -> nn.Module:
        for parameter in network.parameters():
            nn.init.constant_(parameter, 0.1)
        return network

    monkeypatch.setattr(Ranks, "alike", alike)
    still = {"learning_rate_generator": 0.0, "learning_rate_discriminator": 0.0}
    run(training_set, tmp_path, replace(smoke(), precision="o2", steps_constant=1, **still))
    state = load_last_checkpoint(tmp_path)
    assert state is not None
    masters = [*state["generator_optimizer"]["masters"], *state["discriminator_optimizer"]["masters"]]
    for weight in [*masters, *state["average"].values()]:
        torch.testing.assert_close(weight, torch.full_like(weight, 0.1), rtol=1e-6, atol=0)  # half is 2e-4 off


def test_the_log_shows_what_the_discriminator_learnt_last(training_set: Path, tmp_path: Path) -> None:
    """It learns in steps 1 and 3, and steps 2 and 4 are logged."""
    run(training_set, tmp_path / "run", replace(smoke(), discriminator_every=2, log_every=2))
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4]
    assert all(line["discriminator"] > 0 for line in lines)


def test_the_adversarial_term_joins_after_the_warm_up(training_set: Path, tmp_path: Path) -> None:
    run(training_set, tmp_path / "run", replace(smoke(), warmup_steps=2))
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["adversarial"]] == [3, 4]
    assert [line["step"] for line in lines if line["discriminator"]] == [3, 4]


def test_a_step_that_was_not_taken_does_not_move_the_average(
    training_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, decays = iter([True, False, True, False]), []
    step, average = train.generator_step, train.update_average

    def generator_step(*arguments: Any, **options: Any) -> tuple[dict[str, Tensor], bool]:
        return step(*arguments, **options)[0], next(taken)

    def update(network: nn.Module, weights: list[Tensor], decay: float) -> None:
        decays.append(decay)
        average(network, weights, decay)

    monkeypatch.setattr(train, "generator_step", generator_step)
    monkeypatch.setattr(train, "update_average", update)
    run(training_set, tmp_path / "run", replace(smoke(), ema_decay=0.2))
    assert decays == [1 / 10, 0.2]  # of the steps 0 and 2: (1 + step) / (10 + step), at most what is asked for


def test_images_are_counted_over_all_ranks_and_without_twins(tmp_path: Path) -> None:
    for contrastive, images in ((1.0, 4), (0.0, 8)):
        config = replace(smoke(), weights=LossWeights(contrastive=contrastive))
        with RunLog(tmp_path, Position(), 10, config, Ranks(1, 2, torch.device("cpu")), {}) as log:
            log.count([batch(2), batch(2)])
            assert log.images == images
    assert list(tmp_path.iterdir()) == []  # the first rank writes


@pytest.mark.parametrize("written", ["grow_sheet", "save_model"])
def test_a_disk_that_is_full_at_a_look(
    written: str,
    training_set: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    full = iter([False, True, True])

    def write(*arguments: Any, **options: Any) -> None:
        if next(full):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(validation, written, write)
    words = ["--data", str(training_set), "--output", str(tmp_path), "--preset", "smoke", "--workers", "0"]
    assert train.main([*words, "--best-by", "psnr", "--sheet-every", "2"]) == 2
    told = capsys.readouterr().err
    assert "No space left on device" in told and told.count("\n") == 1
    kept = "the checkpoint of step 2 is the last good one" if written == "grow_sheet" else "there is no checkpoint yet"
    assert told == f"train: {tmp_path}: cannot be written: No space left on device; {kept}.\n"


def test_a_full_disk_leaves_the_list_of_damaged_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, *_: object, **__: object) -> None:
        path.open("w").close()  # as far as it comes
        raise OSError(errno.ENOSPC, "No space left on device")

    place, listed = Ranks(0, 1, torch.device("cpu")), tmp_path / "damaged.txt"
    with RunLog(tmp_path, Position(), 10, smoke(), place, {"one": "no picture"}):
        pass
    with (
        pytest.raises(OSError, match="No space left"),
        RunLog(tmp_path, Position(), 10, smoke(), place, {"two": "cut"}),
    ):
        monkeypatch.setattr(Path, "write_text", full)
    assert listed.read_text() == "one\tno picture\n"


def test_ranks_tell_each_other_of_a_damaged_sample_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a run of weeks every rank meets every damaged sample of the set."""
    told: list[dict[str, str]] = []
    monkeypatch.setattr(Ranks, "gather", lambda _, thing: told.append(thing) or [thing, {"other": "of rank 1"}])
    damaged = {"one": "no picture"}
    with RunLog(tmp_path, Position(), 10, smoke(), Ranks(0, 1, torch.device("cpu")), damaged) as log:
        for step, more in enumerate(({}, {}, {"two": "cut"}), start=1):
            damaged |= more
            log.count([batch(2)])
            log.training(step, {"reconstruction": torch.ones(())}, {})
    assert told == [{"one": "no picture"}, {}, {"two": "cut"}]
    assert (tmp_path / "damaged.txt").read_text() == "one\tno picture\nother\tof rank 1\ntwo\tcut\n"
