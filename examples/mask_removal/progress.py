"""Sheets of validation faces: one for each time the generator is looked at, and one that grows with the run."""

from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

from examples.mask_removal.data import Batch
from examples.mask_removal.sheet import picture_sheet
from gatedinpaint import composite, image_to_photo, read_photo, write_photo

SAMPLES_FOLDER = "samples"
GROWING_SHEET = "sheet.png"
TITLES = ("input", "reference", "coarse", "refined", "truth")
_MOST_ROWS = 12


@torch.no_grad()
def write_sheet(run: Path, step: int, generator: nn.Module, batch: Batch) -> np.ndarray:
    """Input, reference, coarse, refined and truth, a row for each face; returns the sheet."""
    device = next(generator.parameters()).device
    output = generator(*(x.to(device) for x in batch))
    output = type(output)(*(x.cpu() for x in output))
    rows = []
    for row in range(len(batch.image)):
        image, mask, reference = (x[row : row + 1] for x in batch[:3])
        filled = [composite(stage[row : row + 1], image, mask) for stage in (output.coarse, output.refined)]
        rows.append([image_to_photo(x) for x in (image * (1 - mask), reference, *filled, image)])
    (run / SAMPLES_FOLDER).mkdir(exist_ok=True)
    sheet = picture_sheet(rows, titles=TITLES)
    write_photo(run / SAMPLES_FOLDER / f"{step:07d}.png", sheet, overwrite=True)
    # One face for the sheet that grows: the first with a reference, which shows most.
    shown = int(batch.reference_mask.flatten(1).amax(dim=1).argmax())
    (run / SAMPLES_FOLDER / "one").mkdir(exist_ok=True)
    write_photo(run / SAMPLES_FOLDER / "one" / f"{step:07d}.png", np.hstack(rows[shown]), overwrite=True)
    return sheet


def grow_sheet(run: Path, step: int) -> None:
    """Draw one validation face as it was at each look up to ``step``, in at most 12 rows, the last one always there.

    Looks after ``step`` were lost with an interruption; they are made again and removed here.
    """
    strips = sorted((run / SAMPLES_FOLDER / "one").glob("*.png"))
    for path in [path for path in strips if int(path.stem) > step]:
        path.unlink()
        strips.remove(path)
    shown = [strips[round(row)] for row in np.linspace(0, len(strips) - 1, min(_MOST_ROWS, len(strips)))]
    rows = []
    for path in shown:
        pictures = np.hsplit(read_photo(path), len(TITLES))
        first = np.ascontiguousarray(pictures[0])
        cv2.putText(first, str(int(path.stem)), (3, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 255), 1, cv2.LINE_AA)
        rows.append([first, *pictures[1:]])
    write_photo(run / GROWING_SHEET, picture_sheet(rows, titles=TITLES), overwrite=True)
