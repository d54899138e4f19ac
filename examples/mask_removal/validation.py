"""How good the averaged generator is on people that training never sees, in figures and in pictures."""

from pathlib import Path

import torch
from torch import nn

from examples.mask_removal.config import Config
from examples.mask_removal.data import Batch, FaceDataset
from examples.mask_removal.distributed import Ranks
from examples.mask_removal.perceptual_networks import weights_of
from examples.mask_removal.progress import grow_sheet, write_sheet
from examples.mask_removal.run_log import RunLog
from gatedinpaint import InpaintGenerator, composite, save_model
from gatedinpaint.metrics import LPIPS, psnr, ssim

GENERATOR_FOLDER = "generator"
BEST_FOLDER = "best"
_SHEET_ROWS = 8


class Validation:
    """The validation faces of a run, loaded once: they have the same holes and references at every look.

    Args:
        data: the training set.
        config: of the run. LPIPS is measured when the best checkpoint is chosen by it.
        ranks: each measures its share of the faces.
    """

    def __init__(self, data: str, config: Config, ranks: Ranks) -> None:
        faces = FaceDataset(
            data, validation=True, reference_share=0.5, seed=config.seed, damaged_limit=config.damaged_limit
        )
        positions = _spread(len(faces), config.validation_faces)
        self.own = [_load(faces, [position]) for position in positions[ranks.rank :: ranks.world_size]]
        self.of_sheet = _load(faces, _spread(len(faces), _SHEET_ROWS)) if ranks.is_first else None
        self.size = self.of_sheet.image.shape[-1] if self.of_sheet else None
        """Of the crops, in pixels; known to the first rank."""
        self.damaged = faces.damaged
        self.ranks = ranks
        self.best_by = config.best_by
        self.lpips = None
        if config.best_by == "lpips":
            with weights_of("alexnet"):
                self.lpips = LPIPS().to(ranks.device)

    def look(
        self, average: InpaintGenerator, step: int, best: tuple[int, float] | None, run: Path, log: RunLog
    ) -> tuple[int, float]:
        """Measure, draw, log and save the generator; returns step and figure of the best look so far."""
        figures = self.measure(average)
        value = figures[self.best_by]
        is_best = best is None or (value < best[1] if self.best_by == "lpips" else value > best[1])
        if self.of_sheet:
            sheet = write_sheet(run, step, average, self.of_sheet)
            grow_sheet(run, step)
            log.validation(step, figures, sheet)
            save_model(average, run / GENERATOR_FOLDER, dtype=torch.float16, overwrite=True)
            if is_best:
                save_model(average, run / BEST_FOLDER, dtype=torch.float16, overwrite=True)
        return (step, value) if best is None or is_best else best

    @torch.no_grad()
    def measure(self, generator: nn.Module) -> dict[str, float]:
        """Means over the faces, the same on every rank: PSNR and SSIM of the hole's pixels, and LPIPS.

        LPIPS has no pixels: it is that of the composite, which differs from the truth in the hole alone.
        """
        sums = dict.fromkeys(("count", "psnr", "ssim", "lpips"), 0.0)
        for face in self.own:
            face = Batch(*(x.to(self.ranks.device) for x in face))
            filled = composite(generator(*face).refined, face.image, face.mask).clamp(-1, 1)
            sums["count"] += 1
            sums["psnr"] += psnr(filled, face.image, data_range=2.0, mask=face.mask).item()
            sums["ssim"] += ssim(filled, face.image, data_range=2.0, lowest=-1.0, mask=face.mask).item()
            sums["lpips"] += self.lpips(filled, face.image).item() if self.lpips else 0.0
        sums = self.ranks.sum(sums)
        names = ("psnr", "ssim", "lpips") if self.lpips else ("psnr", "ssim")
        return {name: sums[name] / sums["count"] for name in names}


def _spread(length: int, count: int) -> list[int]:
    """``count`` positions from all over the set, always the same ones."""
    count = min(count, length)
    return [round(position * (length - 1) / max(1, count - 1)) for position in range(count)]


def _load(faces: FaceDataset, positions: list[int]) -> Batch:
    return Batch(*(torch.stack(x) for x in zip(*(faces[i] for i in positions), strict=True)))
