"""What a training run writes for people to look at: its log, and sheets of validation faces."""

import json
from pathlib import Path
from typing import Any

import torch

from examples.mask_removal.data import Batch, FaceDataset
from examples.mask_removal.sheet import picture_sheet
from gatedinpaint import InpaintGenerator, composite, image_to_photo, write_photo

LOG_FILE = "log.jsonl"
_SHEET_ROWS = 8


def append_line(path: Path, line: dict[str, Any]) -> None:
    """Add a line to the log."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def forget_after(step: int, log: Path) -> None:
    """Drop the lines of steps that are trained again."""
    if log.exists():
        temporary = log.with_name(f"{LOG_FILE}.part")
        lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
        # A line that an interruption cut off is the last one, and later than any checkpoint.
        try:
            kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{log}: damaged; move it away to go on: {error!r}") from error
        temporary.write_text("".join(kept), encoding="utf-8")
        temporary.replace(log)


def sheet_batch(validation: FaceDataset) -> Batch:
    """Faces from all over the validation part, always the same ones."""
    count = min(_SHEET_ROWS, len(validation))
    positions = [round(position * (len(validation) - 1) / max(1, count - 1)) for position in range(count)]
    return Batch(*(torch.stack(x) for x in zip(*(validation[i] for i in positions), strict=True)))


@torch.no_grad()
def write_sheet(path: Path, generator: InpaintGenerator, batch: Batch) -> None:
    """Input, reference, coarse, refined and truth, a row for each face."""
    path.parent.mkdir(exist_ok=True)
    device = next(generator.parameters()).device
    output = generator(*(x.to(device) for x in batch))
    output = type(output)(*(x.cpu() for x in output))
    rows = []
    for row in range(len(batch.image)):
        image, mask, reference = (x[row : row + 1] for x in batch[:3])
        filled = [composite(stage[row : row + 1], image, mask) for stage in (output.coarse, output.refined)]
        rows.append([image_to_photo(x) for x in (image * (1 - mask), reference, *filled, image)])
    titles = ("input", "reference", "coarse", "refined", "truth")
    write_photo(path, picture_sheet(rows, titles=titles), overwrite=True)
