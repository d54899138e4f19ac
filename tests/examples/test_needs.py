"""Without the packages of its extra a command says which are missing, in one line, before anything is imported."""

import subprocess
import sys

import pytest

from examples.mask_removal.needs import needs

RUN = """
import runpy, sys
sys.modules[{missing!r}] = None
sys.argv = ["command", "--help"]
runpy.run_module("examples.mask_removal.{command}", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize(
    ("command", "missing", "extra"),
    [
        ("remove", "cv2", "faces"),
        ("prepare", "tqdm", "train"),
        ("evaluate", "lpips", "train"),
        ("train", "tyro", "train"),
        ("train", "kornia", "train"),
        ("export_onnx", "cv2", "faces,onnx"),
        ("export_onnx", "onnxscript", "faces,onnx"),
        ("app", "gradio", "app"),
        ("demo", "skimage", "faces,metrics"),
    ],
)
def test_commands_name_the_extra(command: str, missing: str, extra: str) -> None:
    code = RUN.format(command=command, missing=missing)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    package = {"cv2": "mediapipe", "skimage": "scikit-image"}.get(missing, missing)
    expected = f'{package}: needed here and not installed. Fix: pip install ".[{extra}]"\n'
    assert (done.returncode, done.stdout, done.stderr) == (2, "", expected)


def test_what_is_there_is_passed_over(capsys: pytest.CaptureFixture) -> None:
    needs("train", "json", "numpy")
    with pytest.raises(SystemExit) as stop:
        needs("train", "json", "no_such_module", "nor_this")
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith("no_such_module, nor_this: needed here")
