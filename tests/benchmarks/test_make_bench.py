"""``make bench`` looks for its data before it measures for half an hour."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parents[2] / "Makefile"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The Makefile with an environment that is there already and only says what it was asked."""
    shutil.copy(MAKEFILE, tmp_path)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "ran: $*"\n')
    python.chmod(0o755)
    for name in ("pyproject.toml", ".venv/.system", ".venv/.bench"):
        (tmp_path / name).touch()
    return tmp_path


def bench(checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "DATA"))}
    return subprocess.run(
        ["make", "-s", "bench", *words], cwd=checkout, capture_output=True, text=True, check=False, env=environment
    )


@pytest.mark.skipif(shutil.which("make") is None, reason="no make")
@pytest.mark.parametrize("name", ["DATA", "DATA256", "DATA64"])
def test_a_set_that_is_not_there_stops_it_at_once(checkout: Path, name: str) -> None:
    done = bench(checkout, f"{name}={checkout}/nothing")
    assert done.returncode and "ran:" not in done.stdout
    assert f"There is no training set in {checkout}/nothing" in done.stderr


@pytest.mark.skipif(shutil.which("make") is None, reason="no make")
def test_a_set_that_is_there_is_measured_on(checkout: Path) -> None:
    (checkout / "my set").mkdir()
    (checkout / "my set" / "index.jsonl").touch()
    lines = bench(checkout, "DATA=my set", "DATA256=https://example.org/set").stdout.splitlines()
    assert lines[0] == "ran: -m benchmarks.speed"
    assert "ran: -m benchmarks.quality --data my set" in lines
    assert any(line.startswith("ran: -m benchmarks.quality --data https://example.org/set ") for line in lines)
