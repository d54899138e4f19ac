"""Seeing a run: a progress bar, lines of JSON, TensorBoard, and pictures of the curves."""

import json
import math
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Self

import numpy as np
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from examples.mask_removal.config import Config
from examples.mask_removal.curves import draw_curves
from examples.mask_removal.data import Batch
from examples.mask_removal.distributed import Ranks
from examples.mask_removal.resume import Position

LOG_FILE = "log.jsonl"
VALIDATION_FILE = "validation.jsonl"
DAMAGED_FILE = "damaged.txt"
CURVES_FILE = "curves.png"
TENSORBOARD_FOLDER = "tensorboard"
DIVERGED = 10
"""Times the largest reconstruction loss that images in [−1, 1] can have."""


class RunLog:
    """Every rank has one and makes the same calls; the first one writes. Used as a context, it ends with the run.

    Args:
        run: folder of the run.
        position: where the run goes on. Lines of later steps were lost with an interruption, and are dropped.
        steps: of the whole run.
        config: of the run.
        ranks: whose figures are put together.
        damaged: this rank's damaged samples, id and what is wrong; it grows while the run goes on.
    """

    def __init__(
        self, run: Path, position: Position, steps: int, config: Config, ranks: Ranks, damaged: Mapping[str, str]
    ) -> None:
        self.run = run
        self.ranks = ranks
        self.position, self.steps = position, steps
        self.twins = 2 if config.weights.contrastive else 1
        self.images = 0
        self.largest_loss = 2 * 2 * (config.hole_weight + config.valid_weight)  # of two stages
        self.damaged = damaged
        self.told: set[str] = set()
        """Damaged samples that the other ranks have heard of."""
        self.began = time.perf_counter() - position.seconds
        self.logged = position.seconds
        self.rate = 0.0
        """Images per second, of late, on all ranks; twins do not count."""
        self.bar = tqdm(
            total=steps,
            initial=position.step,
            unit=" steps",
            smoothing=0.05,
            mininterval=1.0,
            disable=None if ranks.is_first else True,
        )
        self.board = None
        if ranks.is_first:
            for name in (LOG_FILE, VALIDATION_FILE):
                forget_after(position.step, run / name)
            self.board = SummaryWriter(run / TENSORBOARD_FOLDER, purge_step=position.step + 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()
        if self.board:
            self._list_damaged(self.damaged)  # also of a run that they have ended
            self.board.close()

    @property
    def seconds(self) -> float:
        """Time trained, over all its interruptions."""
        return time.perf_counter() - self.began

    def count(self, parts: Sequence[Batch]) -> None:
        """A step was made, of these parts."""
        self.images += sum(len(part.image) for part in parts) // self.twins * self.ranks.world_size
        self.bar.update()

    def training(self, step: int, terms: Mapping[str, Tensor], figures: Mapping[str, float]) -> None:
        """Log the terms, as means over the ranks, further figures, which are the same on all of them, and the damaged
        samples.

        Raises:
            FloatingPointError: the reconstruction loss is far above any that images in [−1, 1] can have.
        """
        means = self.ranks.mean({name: float(term) for name, term in terms.items()})
        self.rate = self.images / (self.seconds - self.logged)
        self.logged, self.images = self.seconds, 0
        line = {"step": step, "seconds": round(self.seconds, 1), "images_per_second": round(self.rate, 2), **figures}
        self._write(LOG_FILE, "training", line | {name: round(value, 6) for name, value in means.items()})
        self.bar.set_postfix(l1=f"{means['reconstruction']:.3f}")
        # Only what is new: in a run of weeks every rank meets every damaged sample of the set.
        everywhere = self.ranks.gather({id: self.damaged[id] for id in self.damaged if id not in self.told})
        self.told.update(self.damaged)
        found = {id: reason for rank in everywhere for id, reason in rank.items()}
        if self.board and found:
            self._list_damaged(found)
        if means["reconstruction"] > DIVERGED * self.largest_loss:
            raise FloatingPointError(
                f"step {step}: the run diverged, its reconstruction loss is {means['reconstruction']:.3g}. Begin "
                "another with --start-from BEST, a generator of before, and with --clip-norm or a lower "
                "--learning-rate-generator."
            )

    def validation(self, step: int, figures: Mapping[str, float], sheet: np.ndarray) -> None:
        """Log figures that are the same on all ranks and the sheet; draw the curves anew."""
        self._write(VALIDATION_FILE, "validation", {"step": step, **figures})
        if self.board:
            self.board.add_image("validation/faces", sheet, step, dataformats="HWC")
            self.board.flush()
            logs = {"": self.run / LOG_FILE, "validation ": self.run / VALIDATION_FILE}
            draw_curves(self.run / CURVES_FILE, logs)
            if self.bar.disable:  # no terminal, but perhaps the log file of a cluster
                taken, steps = self.seconds - self.position.seconds, step - self.position.step
                left = timedelta(seconds=round(taken / steps * (self.steps - step)))  # with looks and checkpoints
                seen = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
                print(f"step {step} of {self.steps}, {self.rate:.3g} images/s, {left} left: {seen}", flush=True)

    def _list_damaged(self, samples: Mapping[str, str]) -> None:
        """Keep the list: id and what is wrong, a line each. What is in it from before stays."""
        path = self.run / DAMAGED_FILE
        before = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines() if path.exists() else []
        known = dict(line.partition("\t")[::2] for line in before)
        known |= {id: " ".join(reason.split()) for id, reason in samples.items()}
        if known:
            lines = (f"{id}\t{reason}\n" for id, reason in sorted(known.items()))
            part = path.with_name(f"{path.name}.part")  # on a full disk the list of before stays
            part.write_text("".join(lines), encoding="utf-8", errors="surrogateescape")
            part.replace(path)

    def _write(self, name: str, group: str, line: Mapping[str, float]) -> None:
        if self.board:
            # JSON knows no NaN and no infinity: a loss of a skipped step is null.
            finite = {key: value if math.isfinite(value) else None for key, value in line.items()}
            with (self.run / name).open("a", encoding="utf-8") as file:
                file.write(json.dumps(finite) + "\n")
            for key, value in finite.items():
                if key != "step" and value is not None:
                    self.board.add_scalar(f"{group}/{key}", value, line["step"])


def forget_after(step: int, log: Path) -> None:
    """Drop the lines of steps that are trained again.

    Raises:
        ValueError: it is no log.
    """
    if log.exists():
        temporary = log.with_name(f"{log.name}.part")
        lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
        # A line that an interruption cut off is the last one, and later than any checkpoint.
        try:
            kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{log}: damaged; move it away to go on: {error!r}") from error
        temporary.write_text("".join(kept), encoding="utf-8")
        temporary.replace(log)
