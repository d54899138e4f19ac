import pytest

from examples import quickstart


def test_quickstart_prints_the_shapes(capsys: pytest.CaptureFixture[str]) -> None:
    quickstart.main()
    assert capsys.readouterr().out == "image and mask (1, 4, 64, 64) -> features (1, 8, 32, 32)\n"
