import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from examples.mask_removal.config import smoke
from examples.mask_removal.curves import draw_curves
from examples.mask_removal.distributed import Ranks
from examples.mask_removal.progress import grow_sheet
from examples.mask_removal.validation import Validation
from gatedinpaint import InpaintGenerator, InpaintOutput, load_model, read_photo, write_photo

CPU = torch.device("cpu")
ALONE = Ranks(0, 1, CPU)


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
    (face,) = validation.own
    in_hole = face.image[face.mask.expand_as(face.image) > 0]
    assert near["psnr"] == pytest.approx(10 * math.log10(4 / (0.05**2 * in_hole.double().square().mean())), abs=1e-3)
    assert near["ssim"] > far["ssim"]


class Elsewhere(nn.Module):
    """The truth in the hole, and its opposite around it."""

    def forward(self, image: Tensor, mask: Tensor, *_: Tensor) -> InpaintOutput:
        return InpaintOutput(image, torch.where(mask > 0.5, image, -image), image)


def test_what_the_generator_draws_outside_of_the_hole_does_not_count(training_set: Path) -> None:
    assert Validation(str(training_set), smoke(), ALONE).measure(Elsewhere()) == {"psnr": math.inf, "ssim": 1.0}


@dataclass(frozen=True)
class WithAnother(Ranks):
    """One of two ranks; the other has measured two faces, at 20 dB in the mean."""

    def sum(self, values: Mapping[str, float]) -> dict[str, float]:
        return {name: values[name] + {"count": 2.0, "psnr": 40.0, "ssim": 1.0, "lpips": 0.0}[name] for name in values}


def test_figures_are_means_over_the_faces_of_all_ranks(training_set: Path) -> None:
    """There is one face: the first rank has it, the second one none."""
    alone = Validation(str(training_set), smoke(), ALONE).measure(Off(0.1))
    first, second = (Validation(str(training_set), smoke(), WithAnother(rank, 2, CPU)) for rank in (0, 1))
    assert first.measure(Off(0.1)) == pytest.approx({"psnr": (alone["psnr"] + 40) / 3, "ssim": (alone["ssim"] + 1) / 3})
    assert second.measure(Off(0.1)) == {"psnr": 20.0, "ssim": 0.5}


@pytest.mark.parametrize(("best_by", "figures"), [("psnr", (20, 25, 22, 26)), ("lpips", (0.3, 0.1, 0.2, 0.05))])
def test_the_best_look_is_kept(
    best_by: Literal["psnr", "lpips"], figures: tuple[float, ...], training_set: Path, tmp_path: Path
) -> None:
    validation = Validation(str(training_set), smoke(), ALONE)
    validation.best_by = best_by
    log = SimpleNamespace(validation=lambda *_: None)
    best, kept = None, []
    for step, value in enumerate(figures, start=1):
        network = InpaintGenerator(2).eval()
        nn.init.constant_(next(network.parameters()), step)
        validation.measure = lambda _, value=value: {best_by: value}  # type: ignore[method-assign]
        best = validation.look(network, step, best, tmp_path, log)  # type: ignore[arg-type]
        kept.append((best, *(next(load_model(tmp_path / x).parameters()).mean().item() for x in ("best", "generator"))))
    first, second, _, last = figures
    assert kept == [((1, first), 1, 1), ((2, second), 2, 2), ((2, second), 2, 3), ((4, last), 4, 4)]


def test_lpips_is_measured_when_the_best_is_chosen_by_it(training_set: Path) -> None:
    try:
        validation = Validation(str(training_set), replace(smoke(), best_by="lpips"), ALONE)
    except (ImportError, OSError) as error:
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
