from pathlib import Path

import pytest
import torch

from benchmarks import first_stage
from benchmarks.first_stage import recipe
from benchmarks.timed_training import train_for
from tests.benchmarks.test_released_recipe import training_set  # noqa: F401


def test_both_stages_in_one_table(
    training_set: Path,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = [
        "--data",
        str(training_set),
        "--minutes",
        "0.01",
        "--batch-size",
        "4",
        "--output",
        str(tmp_path / "table.md"),
    ]
    assert first_stage.main(words) == 0
    printed = capsys.readouterr().out
    assert (tmp_path / "table.md").read_text(encoding="utf-8") == printed
    rows = [line.split("|")[1].strip() for line in printed.splitlines() if line.startswith("| Coarse")]
    assert rows == ["CoarseNet", "CoarseUNet"]
    assert "2 crops. CoarseNet: 341,271 parameters" in printed
    assert first_stage.main(["--data", str(tmp_path), "--minutes", "1"]) == 2
    assert capsys.readouterr().err.startswith("first_stage: ")


def test_only_the_first_stage_learns(training_set: Path) -> None:  # noqa: F811
    times = iter([0.0, 0.0, 1.0])
    network, steps = train_for(
        str(training_set), recipe("unet", batch_size=4), 1.0, is_released=False, clock=lambda: next(times)
    )
    assert steps == 1
    torch.manual_seed(0)
    assert torch.equal(network(torch.zeros(1, 3, 32, 32), torch.ones(1, 1, 32, 32)).embedding, torch.zeros(1, 128))
