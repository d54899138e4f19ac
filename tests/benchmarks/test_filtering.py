import pytest

from benchmarks.filtering import Shape, chosen, errors, main, times
from gatedinpaint import _filtering_choice


def test_prints_a_row_for_every_shape(capsys: pytest.CaptureFixture[str]) -> None:
    main([], shapes=(Shape(4, 4, 8), Shape(2, 3, 9, 2, batch=2)), repeats=1)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| 4 → 4, 8², d 1, batch 1", "| 2 → 3, 9², d 2, batch 2"]
    assert all(line.count("|") == lines[0].count("|") for line in lines)


def test_times_every_way() -> None:
    seconds = times(Shape(2, 2, 8), repeats=1)
    assert len(seconds) == 5
    assert min(seconds.values()) > 0


def test_says_what_the_package_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_filtering_choice, "vectors", lambda: "avx512")
    assert not chosen(Shape(4, 4, 8), kept=True)
    assert chosen(Shape(128, 128, 64), kept=False)
    assert [chosen(Shape(128, 128, 32), kept=kept) for kept in (False, True)] == [False, True]


def test_error_of_plain_summation_is_the_smaller() -> None:
    plain, filtered = errors(Shape(32, 16, 16))
    assert 0 < plain < filtered < 1e-5
