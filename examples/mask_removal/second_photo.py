"""What a real second photo of a person is worth to the generator, and whether it follows one of somebody else."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from tqdm import tqdm

from examples.mask_removal.data import Batch
from examples.mask_removal.held_out import BATCH, HeldOut, Pair
from examples.mask_removal.judging import FIGURES, evaluation_of, judged
from gatedinpaint import InpaintGenerator
from gatedinpaint.metrics import LPIPS, InpaintingReport, summary_table

YAW_EDGES = (0, 15, 30, 180)
ALONE, OWN, STRANGER = "without reference", "second photo of the person", "photo of somebody else"


@torch.inference_mode()
def measure_pairs(
    faces: HeldOut, pairs: Sequence[Pair], generator: InpaintGenerator, networks: Sequence[LPIPS]
) -> tuple[dict[str, InpaintingReport], dict[str, tuple[float, float]]]:
    """On faces with a real second photo: the reports without it, with it, and with a stranger's; and how like each
    result is, in PSNR, to what the own reference shows of the hole and to what the stranger's does."""
    evaluation = evaluation_of(networks)
    likeness: dict[str, list[tuple[float, float]]] = {}
    starts = range(0, len(pairs), BATCH)
    for first in tqdm(starts, desc="second photos", unit=" batches", leave=False, disable=None):
        some = pairs[first : first + BATCH]
        positions = [pair.position for pair in some]
        batch = faces.batch(positions)
        own = faces.guided(batch, positions, [pair.own for pair in some])
        stranger = faces.guided(batch, positions, [pair.stranger for pair in some])
        results = {
            ALONE: judged(generator(*batch[:2]).refined, batch),
            OWN: judged(generator(*own).refined, batch),
            STRANGER: judged(generator(*stranger).refined, batch),
        }
        evaluation.update(results, batch.image, batch.mask, ids=faces.ids(positions))
        for name, result in results.items():
            columns = zip(_likeness(result, own), _likeness(result, stranger), strict=True)
            likeness.setdefault(name, []).extend(columns)
    means = {name: tuple(_mean(column) for column in zip(*rows, strict=True)) for name, rows in likeness.items()}
    return evaluation.reports(**faces.about), means


def pair_table(reports: Mapping[str, InpaintingReport], likeness: Mapping[str, tuple[float, float]]) -> str:
    """What a second photo is worth, and whether the result follows the reference it is given."""
    head, rule, *rows = summary_table(list(reports.values()), FIGURES[:4]).splitlines()
    lines = [f"{head} like the own reference, dB | like the stranger's, dB |", f"{rule}---|---|"]
    for row, name in zip(rows, reports, strict=True):
        lines.append(f"{row} {likeness[name][0]:.2f} | {likeness[name][1]:.2f} |")
    return "\n".join(lines)


def yaw_table(reports: Mapping[str, InpaintingReport], yaws: Mapping[str, float]) -> str:
    """With against without the second photo, by the difference in yaw, with intervals of 95 % of the gains."""
    shown = ("PSNR hole", "LPIPS alex", "LPIPS vgg")
    columns = [f"{name}, {what}" for name in shown for what in ("without", "with", "gain")]
    lines = [f"| yaw apart | crops | {' | '.join(columns)} |", "|---" * (len(columns) + 2) + "|"]
    for least, most in itertools.pairwise(YAW_EDGES):
        label = f"{least}–{most}°" if most < YAW_EDGES[-1] else f"over {least}°"
        alone, own = (_part(reports[name], yaws, least, most) for name in (ALONE, OWN))
        if not alone.rows:
            lines.append(f"| {label} | 0 |" + " – |" * len(columns))
            continue
        gains, cells = own.compare(alone), []
        for name in shown:
            digits = 2 if name.startswith("PSNR") else 4
            means = [f"{report.summary()[name].mean:.{digits}f}" for report in (alone, own)]
            gain = " ".join(f"{value:+.{digits}f}" for value in gains[name])
            mean, low, high = gain.split()
            cells += [*means, f"{mean} ({low} to {high})"]
        lines.append(f"| {label} | {len(alone.rows)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _likeness(result: Tensor, guided: Batch) -> list[float]:
    """PSNR of each result against its reference, where that shows something of the hole; NaN where it shows nothing."""
    shown = guided.mask * guided.reference_mask
    error = ((result - guided.reference).square() * shown).sum((1, 2, 3)) / (3 * shown.sum((1, 2, 3)))
    return (10 * (4 / error).log10()).tolist()


def _mean(values: Sequence[float]) -> float:
    there = [value for value in values if math.isfinite(value)]
    return sum(there) / len(there) if there else math.nan


def _part(report: InpaintingReport, yaws: Mapping[str, float], least: float, most: float) -> InpaintingReport:
    return replace(report, rows=[row for row in report.rows if least <= yaws[row["id"]] < most])
