import pytest

from benchmarks.gates_quality import GATES, cost, examples, fit, main


def test_prints_a_row_for_every_gate(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--steps", "1", "--seeds", "1"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["gate", *GATES]


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
