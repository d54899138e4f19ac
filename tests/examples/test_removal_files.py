"""Where results go, and how their names are printed."""

import io
import sys
from pathlib import Path

import pytest
from PIL import Image

from examples.mask_removal import progress_bar
from examples.mask_removal.removal_files import folder_jobs
from gatedinpaint import PhotoError


def test_a_picture_of_the_steps_takes_no_results_place(tmp_path: Path) -> None:
    photos = tmp_path / "hol"
    for name in ("a.png", "steps/a.png"):
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 9)).save(photos / name)
    output = tmp_path / "out"
    with pytest.raises(PhotoError, match=r"steps.a\.png and .*a\.png would both be written to .*steps.a\.png"):
        folder_jobs([photos], output, ending=".png", steps=output / "steps", origin_map=None)
    with pytest.raises(PhotoError, match="holds the photos, and would mix the results with them"):
        folder_jobs([photos], output, ending=".png", steps=None, origin_map=tmp_path)


def test_a_name_that_the_terminal_cannot_show_is_printed_all_the_same() -> None:
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="strict")
    with pytest.MonkeyPatch.context() as patch, progress_bar.Progress(1, unit=" photos") as progress:
        patch.setattr(sys, "stdout", terminal)
        progress.line("m\udcfcller.png: done")
    terminal.seek(0)
    assert terminal.read() == "m\\udcfcller.png: done\n"
