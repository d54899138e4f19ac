"""Measure a generator on the held-out people of a training set.

    python -m examples.mask_removal.evaluate --data DIR [--model FOLDER] [--limit N] [--methods NAME ...]

Prints one row for each method: PSNR and SSIM inside the hole, LPIPS of the whole crop, and the Fréchet distance on
VGG16 features of the lower face (see ``lower_face.py``). The methods are the generator without reference, the same with
one (a second photo of the person where there is one, else the same photo seen otherwise), its coarse stage alone, and
OpenCV's Telea inpainting. Then, on the faces that have a real second photo, what that is worth against none and against
a photo of somebody else, and by the difference in yaw. The same holes serve all. ``--output`` keeps the reports.
"""

from examples.mask_removal.needs import needs

if __name__ == "__main__":
    needs("train", "tqdm", "cv2", "mediapipe", "PIL", "torchvision", "lpips")

import argparse
import itertools
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from examples.mask_removal.data import Batch
from examples.mask_removal.fills import Fill, fills_of, telea
from examples.mask_removal.held_out import BATCH, HeldOut, Pair
from examples.mask_removal.lower_face import LowerFaceFeatures
from examples.mask_removal.one_line import one_line
from examples.mask_removal.pipeline import WEIGHTS
from gatedinpaint import InpaintGenerator, composite, load_model
from gatedinpaint.metrics import LPIPS, InpaintingEvaluation, InpaintingReport, summary_table

FIGURES = ("PSNR hole", "SSIM hole", "LPIPS alex", "LPIPS vgg", f"Fréchet distance ({LowerFaceFeatures.name})")
YAW_EDGES = (0, 15, 30, 180)
EXAMPLES = """\
examples:
  python -m examples.mask_removal.evaluate --data SET                             (the shipped weights)
  python -m examples.mask_removal.evaluate --data SET --model RUN/generator --output reports/
  python -m examples.mask_removal.evaluate --data SET --limit 64 --methods Telea "with reference"

methods:   without reference, with reference, coarse only, Telea
figures:   PSNR in dB and SSIM from 0 to 1, in the hole, more is better; LPIPS and Fréchet distance, less is better
exit code: 0 measured; 2 not possible, with one line that says why
"""
ALONE, OWN, STRANGER = "without reference", "second photo of the person", "photo of somebody else"


@torch.inference_mode()
def measure(
    batches: Iterable[tuple[list[str], Batch]],
    fills: Mapping[str, Fill],
    networks: Sequence[LPIPS],
    extractors: Sequence[Callable[[Tensor], Tensor]] = (),
    *,
    distances: bool = True,
    **about: Any,
) -> dict[str, InpaintingReport]:
    """The report of every method, on what it makes of the faces, composited with the image.

    Args:
        batches: names and samples.
        fills: the methods.
        networks: forms of LPIPS; over the trunk of ``LPIPS("vgg")`` the Fréchet distance of the lower face is measured.
        extractors: of other Fréchet distances.
        distances: measure Fréchet distances at all; of a few images they mean nothing.
        about: for the reports' manifest.
    """
    evaluation = _evaluation(networks, extractors) if distances else InpaintingEvaluation(lpips=networks)
    for ids, batch in tqdm(batches, leave=False, disable=None):
        results = {name: _composite(fill(batch), batch) for name, fill in fills.items()}
        evaluation.update(results, batch.image, batch.mask, ids=ids)
    return evaluation.reports(**about)


@torch.inference_mode()
def measure_pairs(
    faces: HeldOut, pairs: Sequence[Pair], generator: InpaintGenerator, networks: Sequence[LPIPS]
) -> tuple[dict[str, InpaintingReport], dict[str, tuple[float, float]]]:
    """On faces with a real second photo: the reports without it, with it, and with a stranger's; and how like each
    result is, in PSNR, to what the own reference shows of the hole and to what the stranger's does."""
    evaluation = _evaluation(networks)
    likeness: dict[str, list[tuple[float, float]]] = {}
    for first in range(0, len(pairs), BATCH):
        some = pairs[first : first + BATCH]
        positions = [pair.position for pair in some]
        batch = faces.batch(positions)
        own = faces.guided(batch, positions, [pair.own for pair in some])
        stranger = faces.guided(batch, positions, [pair.stranger for pair in some])
        results = {
            ALONE: _composite(generator(*batch[:2]).refined, batch),
            OWN: _composite(generator(*own).refined, batch),
            STRANGER: _composite(generator(*stranger).refined, batch),
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


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.mask_removal.evaluate",
        description=__doc__.split("\n\n")[0],
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--data", required=True, metavar="SET", help="training set written by prepare.py: a folder, or the URL of one"
    )
    parser.add_argument(
        "--model", type=Path, default=WEIGHTS, metavar="FOLDER", help="folder of a generator (default: the shipped one)"
    )
    parser.add_argument(
        "--limit", type=int, metavar="N", help="measure N faces from all over the held-out part (default: all)"
    )
    parser.add_argument("--methods", nargs="+", metavar="NAME", help="these methods only, and no second photos")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FOLDER",
        help="also write the report of every method, as JSON and Markdown",
    )
    options = parser.parse_args(arguments)
    try:
        faces = HeldOut(options.data, limit=options.limit)
        generator = load_model(options.model)
        if not isinstance(generator, InpaintGenerator):
            raise ValueError(f"{options.model}: expected an InpaintGenerator; got a {type(generator).__name__}.")
        side = faces.faces[0].image.shape[-1]
        fills = fills_of(generator, side) | {"Telea": telea}
        if unknown := set(options.methods or ()) - fills.keys():
            raise ValueError(f"--methods: {sorted(unknown)} unknown; there are {list(fills)}.")
        fills = {name: fill for name, fill in fills.items() if name in (options.methods or fills)}
        networks = [LPIPS("alex"), LPIPS("vgg")]
        reports = measure(faces.batches(), fills, networks, **faces.about)
        print(f"{len(faces.positions)} of {len(faces.faces)} crops of people held out of training, {side} px.\n")
        print(summary_table(list(reports.values()), FIGURES))
        if "with reference" in reports:
            print("\nWith reference: without a second photo, the same one seen otherwise stands in, which flatters.")
        pairs = faces.pairs() if generator.config["reference"] and not options.methods else []
        if pairs:
            of_pairs, likeness = measure_pairs(faces, pairs, generator, networks)
            print(f"\n{len(pairs)} of them have a real second photo:\n\n{pair_table(of_pairs, likeness)}\n")
            ids = faces.ids([pair.position for pair in pairs])
            print(yaw_table(of_pairs, dict(zip(ids, (pair.yaw_difference for pair in pairs), strict=True))))
            reports |= {f"pairs, {name}": report for name, report in of_pairs.items()}
        for name, report in reports.items() if options.output else ():
            report.save(options.output / f"{name.replace(',', '').replace(' ', '-')}.json")
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        print(f"evaluate: {one_line(error)}", file=sys.stderr)
        return 2
    return 0


def _evaluation(
    networks: Sequence[LPIPS], extractors: Sequence[Callable[[Tensor], Tensor]] = ()
) -> InpaintingEvaluation:
    lower_faces = [LowerFaceFeatures(network) for network in networks if network.net == "vgg"]
    return InpaintingEvaluation(lpips=networks, extractors=[*lower_faces, *extractors])


def _composite(result: Tensor, batch: Batch) -> Tensor:
    return composite(result.clamp(-1, 1), batch.image, batch.mask)


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


if __name__ == "__main__":
    sys.exit(main())
