from pathlib import Path

import pytest
import torch

from benchmarks import gates_quality
from benchmarks.gates_quality import GATES, cost, examples, fit, main


def test_writes_a_row_for_every_gate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gates_quality, "HELD_OUT", 4)
    output = tmp_path / "gates.md"
    main(["--steps", "1", "--seeds", "2", "--output", str(output)])
    text = output.read_text("utf-8")
    assert text == capsys.readouterr().out
    head, _, *rows = (line.strip("| ").split(" | ") for line in text.split("\n\n")[0].splitlines())
    assert [row[0] for row in rows] == [*GATES]
    assert {len(row) for row in rows} == {len(head)}
    for row in rows:
        mean, seeds = float(row[-2]), [float(error) for error in row[-1].split(", ")]
        assert len(seeds) == 2
        assert abs(mean - sum(seeds) / 2) <= 0.001


def test_a_fit_can_be_repeated_and_learns() -> None:
    assert fit("full", steps=2, seed=0) == fit("full", steps=2, seed=0)
    assert fit("full", steps=30, seed=0) < 0.8 * fit("full", steps=1, seed=0)


def test_cost_counts_the_gate() -> None:
    # 4 → 16 with 5×5, four times 16 → 16 with 3×3, 16 → 3 with 3×3; a full gate doubles all but the last.
    assert cost("full")[1] == 2 * (4 * 16 * 25 + 4 * 16 * 16 * 9) + 16 * 3 * 9


def test_images_lie_in_range_and_have_holes() -> None:
    image, mask = examples(4, seed=3)
    assert image.abs().max() <= 1
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    assert mask.flatten(1).sum(1).min() > 0


def test_the_error_is_a_mean_over_the_pixels_and_channels_of_the_holes_of_images_that_were_not_fitted() -> None:
    torch.manual_seed(3)
    model = gates_quality.network("full")
    image, mask = examples(gates_quality.HELD_OUT, seed=0)
    with torch.no_grad():
        errors = (gates_quality.predict(model, image, mask) - image).abs()
    expected = errors[mask.expand_as(errors) > 0].mean().item()
    assert fit("full", steps=0, seed=3) == pytest.approx(expected, rel=1e-4)
