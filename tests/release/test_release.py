"""What is published: built from the source distribution, complete, and usable without the repository."""

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import gatedinpaint
from tests.release.check_wheel import check

ROOT = Path(__file__).resolve().parents[2]


def test_the_version_stands_in_one_place() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert "version" in project["project"]["dynamic"] and "version" not in project["project"]
    assert (ROOT / project["tool"]["hatch"]["version"]["path"]) == ROOT / "gatedinpaint" / "__init__.py"
    assert re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", gatedinpaint.__version__)
    stated = subprocess.run(
        ["git", "grep", "-lF", gatedinpaint.__version__, "--", "*.py", "*.toml", "Makefile"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if stated.returncode == 0:  # in a checkout; requirements such as "lpips>=0.1.4" hold other numbers
        assert "gatedinpaint/__init__.py" in stated.stdout.splitlines()


def test_the_release_list_names_commands_that_exist() -> None:
    text = (ROOT / "RELEASING.md").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"make ([a-z-]+)", text))
    assert named and named <= targets
    for module in re.findall(r"python -m ((?:tests|benchmarks|examples)[\w.]+)", text):
        assert (ROOT / f"{module.replace('.', '/')}.py").is_file(), module


def test_ci_runs_what_developers_run() -> None:
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"run: make ([a-z-]+)", text))
    assert {"lint", "test", "docs", "wheel"} <= named <= targets
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["classifiers"]
    supported = [line.rsplit(" ", 1)[1] for line in classifiers if re.search(r"Python :: 3\.\d+$", line)]
    assert all(f'"{version}"' in text for version in supported)


@pytest.mark.slow
def test_wheel_and_source_distribution(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "build", "--outdir", str(tmp_path), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,), (source,) = tmp_path.glob("*.whl"), tmp_path.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()
        metadata = next(file.read(name).decode() for name in names if name.endswith("METADATA"))
    assert {name.split("/")[0] for name in names} == {
        "gatedinpaint",
        f"gatedinpaint-{gatedinpaint.__version__}.dist-info",
    }
    assert "gatedinpaint/py.typed" in names and any(name.endswith("licenses/LICENSE") for name in names)
    assert sorted(name for name in names if name.endswith(".py")) == sorted(
        str(path.relative_to(ROOT)) for path in (ROOT / "gatedinpaint").rglob("*.py")
    )
    assert f"Version: {gatedinpaint.__version__}" in metadata and "Provides-Extra: hub" in metadata
    assert wheel.stat().st_size < 1_000_000
    with tarfile.open(source) as file:
        members = {member.name.split("/", 1)[1] for member in file if member.isfile()}
    for needed in ("pyproject.toml", "LICENSE", "Makefile", "RELEASING.md", "tests/release/check_wheel.py"):
        assert needed in members
    assert "examples/mask_removal/weights/model.safetensors" in members
    assert not [name for name in members if name.endswith(".onnx") or "__pycache__" in name]
    assert "works from its wheel" in check(wheel)
