"""Importing the package stays light: what an extra brings is loaded where it is used, and not before."""

import subprocess
import sys

import pytest

HEAVY = {"torchvision", "cv2", "mediapipe", "PIL", "scipy", "skimage", "lpips", "pytorch_fid", "kornia", "matplotlib"}
REPORT = "import sys; print(*sorted({name.split('.')[0] for name in sys.modules}))"


def loaded_by(statement: str) -> set[str]:
    command = [sys.executable, "-c", f"{statement}; {REPORT}"]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


@pytest.mark.parametrize(
    "module",
    ["gatedinpaint", "gatedinpaint.faces", "gatedinpaint.metrics", "gatedinpaint.losses", "gatedinpaint.models"],
)
def test_import_is_light(module: str) -> None:
    loaded = loaded_by(f"import {module}")
    assert "torch" in loaded  # the report works
    assert loaded & HEAVY == set()


def test_report_sees_a_heavy_import() -> None:
    assert "PIL" in loaded_by("import gatedinpaint, PIL")
