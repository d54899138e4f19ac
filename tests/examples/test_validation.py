from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from examples.mask_removal.config import smoke
from examples.mask_removal.curves import draw_curves
from examples.mask_removal.distributed import Ranks
from examples.mask_removal.progress import grow_sheet
from examples.mask_removal.validation import Validation
from gatedinpaint import InpaintOutput, read_photo, write_photo

ALONE = Ranks(0, 1, torch.device("cpu"))


class Off(nn.Module):
    """Says the truth, plus something."""

    def __init__(self, difference: float) -> None:
        super().__init__()
        self.difference = difference

    def forward(self, image: Tensor, *_: Tensor) -> InpaintOutput:
        return InpaintOutput(image, image * (1 - self.difference), image)


def test_figures_are_of_the_hole_and_rank_the_better_first(training_set: Path) -> None:
    validation = Validation(str(training_set), smoke(), ALONE)
    near, far = (validation.measure(Off(difference)) for difference in (0.05, 0.2))
    assert near.keys() == {"psnr", "ssim"}
    # Four times the difference is 20·log10(4) dB, whatever the photo, as long as nothing is clamped.
    assert near["psnr"] - far["psnr"] == pytest.approx(12.041, abs=1e-3)
    assert near["ssim"] > far["ssim"]


def test_lpips_is_measured_when_the_best_is_chosen_by_it(training_set: Path) -> None:
    try:
        validation = Validation(str(training_set), replace(smoke(), best_by="lpips"), ALONE)
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"no AlexNet: {error}")
    near, far = (validation.measure(Off(difference)) for difference in (0.05, 0.5))
    assert 0 < near["lpips"] < far["lpips"]


def test_the_growing_sheet_shows_the_first_and_the_last_and_forgets_what_was_lost(tmp_path: Path) -> None:
    for step in range(1, 31):
        picture = np.full((20, 100, 3), 8 * step, np.uint8)
        write_photo(_made(tmp_path / "samples" / "one") / f"{step:07d}.png", picture)
    grow_sheet(tmp_path, 28)
    sheet = read_photo(tmp_path / "sheet.png")
    truths = sheet[34:-6:26, -16]  # the middle of the last column, row by row
    assert (len(truths), truths[0, 0], truths[-1, 0]) == (12, 8, 8 * 28)
    assert not (tmp_path / "samples" / "one" / "0000029.png").exists()


def test_curves_leave_out_what_was_not_finite(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text('{"step": 1, "loss": 1.0}\n{"step": 2, "loss": null}\n{"step": 3, "loss": 0.5}\n')
    draw_curves(tmp_path / "curves.png", {"": log, "validation ": tmp_path / "none"})
    assert read_photo(tmp_path / "curves.png").min() < 128


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
