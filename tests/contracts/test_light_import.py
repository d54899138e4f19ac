"""Importing the package stays light: what an extra brings is loaded where it is used, and not before."""

import subprocess
import sys
from pathlib import Path

import pytest

from gatedinpaint import InpaintGenerator

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


def test_the_package_brings_what_the_install_page_says() -> None:
    ours = loaded_by("import torch, numpy, gatedinpaint") - loaded_by("import torch, numpy")
    assert ours == {"gatedinpaint", "safetensors"} | (ours & sys.stdlib_module_names)


def test_loading_a_model_does_without_the_compiler(tmp_path: Path) -> None:
    # Importing torch._dynamo takes longer than all the rest of loading.
    InpaintGenerator(2).save_pretrained(tmp_path)
    command = [sys.executable, "-c", f"import gatedinpaint, sys; gatedinpaint.load_model({str(tmp_path)!r})"]
    command[-1] += "; print('torch._dynamo' in sys.modules, 'numpy.random' in sys.modules)"
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.split() == ["False", "False"]


def test_report_sees_a_heavy_import() -> None:
    assert "PIL" in loaded_by("import gatedinpaint, PIL")
