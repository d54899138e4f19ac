from pathlib import Path

from examples import train_minimal


def test_the_whole_step_learns_in_under_100_lines() -> None:
    losses = train_minimal.train(40)
    assert sum(losses[-10:]) < 0.85 * sum(losses[:10])
    assert len(Path(train_minimal.__file__).read_text(encoding="utf-8").splitlines()) < 100
