"""Measure a generator on the held-out people of a training set.

    python -m examples.mask_removal.evaluate --data DIR [--model FOLDER] [--limit N] [--methods NAME ...]

Prints one row for each method: PSNR and SSIM inside the hole, LPIPS of the whole crop, and the Fréchet distance on
VGG16 features of the lower face (see ``lower_face.py``). The methods are the generator without reference, the same with
one (a second photo of the person where there is one, else the same photo seen otherwise), above 128 pixels in two
passes without reference, its coarse stage alone, and OpenCV's Telea inpainting. Then, on the faces that have a real
second photo, what that is worth against none and against a photo of somebody else, and by the difference in yaw. The
same holes serve all. ``--output`` keeps the reports.
"""

from examples.mask_removal.needs import needs

if __name__ == "__main__":
    needs("train", "tqdm", "cv2", "mediapipe", "PIL", "torchvision", "lpips")

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from examples.mask_removal.data import Batch
from examples.mask_removal.fills import Fill, fills_of, telea
from examples.mask_removal.held_out import HeldOut
from examples.mask_removal.judging import FIGURES, evaluation_of, judged
from examples.mask_removal.one_line import one_line, plain_warnings
from examples.mask_removal.pipeline import WEIGHTS
from examples.mask_removal.second_photo import measure_pairs, pair_table, yaw_table
from gatedinpaint import InpaintGenerator, load_model
from gatedinpaint.metrics import LPIPS, InpaintingEvaluation, InpaintingReport, summary_table

EXAMPLES = """\
examples:
  python -m examples.mask_removal.evaluate --data SET                             (the shipped weights)
  python -m examples.mask_removal.evaluate --data SET --model RUN/generator --output reports/
  python -m examples.mask_removal.evaluate --data SET --limit 64 --methods Telea "with reference"

methods:   without reference, with reference, in two passes (above 128 pixels), coarse only, Telea
figures:   PSNR in dB and SSIM from 0 to 1, in the hole, more is better; LPIPS and Fréchet distance, less is better
exit code: 0 measured; 2 not possible, with one line that says why
"""


@torch.inference_mode()
def measure(
    batches: Iterable[tuple[list[str], Batch]],
    fills: Mapping[str, Fill],
    networks: Sequence[LPIPS],
    extractors: Sequence[Callable[[Tensor], Tensor]] = (),
    *,
    distances: bool = True,
    count: int | None = None,
    **about: Any,
) -> dict[str, InpaintingReport]:
    """The report of every method, on what it makes of the faces, composited with the image.

    Args:
        batches: names and samples.
        fills: the methods.
        networks: forms of LPIPS; over the trunk of ``LPIPS("vgg")`` the Fréchet distance of the lower face is measured.
        extractors: of other Fréchet distances.
        distances: measure Fréchet distances at all; of a few images they mean nothing.
        count: of the faces, to say how long it will still take.
        about: for the reports' manifest.
    """
    evaluation = evaluation_of(networks, extractors) if distances else InpaintingEvaluation(lpips=networks)
    with tqdm(desc="measure", total=count, unit=" faces", leave=False, disable=None) as bar:
        for ids, batch in batches:
            results = {name: judged(fill(batch), batch) for name, fill in fills.items()}
            evaluation.update(results, batch.image, batch.mask, ids=ids)
            bar.update(len(ids))
    return evaluation.reports(**about)


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
        if options.output:
            options.output.mkdir(parents=True, exist_ok=True)  # what is measured for hours must have a place
        networks = [LPIPS("alex"), LPIPS("vgg")]
        with plain_warnings("evaluate"):
            reports = measure(faces.batches(), fills, networks, count=len(faces.positions), **faces.about)
        _save(reports, options.output)
        print(f"{len(faces.positions)} of {len(faces.faces)} crops of people held out of training, {side} px.")
        if faces.damaged:
            print(f"Left out, damaged: {', '.join(sorted(faces.damaged))}.")
        print()
        print(summary_table(list(reports.values()), FIGURES))
        if "with reference" in reports:
            print("\nWith reference: without a second photo, the same one seen otherwise stands in, which flatters.")
        pairs = faces.pairs() if generator.config["reference"] and not options.methods else []
        if pairs:
            of_pairs, likeness = measure_pairs(faces, pairs, generator, networks)
            print(f"\n{len(pairs)} of them have a real second photo, warped here by the landmarks of the bare face:\n")
            print(f"{pair_table(of_pairs, likeness)}\n")
            ids = faces.ids([pair.position for pair in pairs])
            print(yaw_table(of_pairs, dict(zip(ids, (pair.yaw_difference for pair in pairs), strict=True))))
            _save({f"pairs, {name}": report for name, report in of_pairs.items()}, options.output)
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        print(f"evaluate: {one_line(error)}", file=sys.stderr)
        return 2
    return 0


def _save(reports: Mapping[str, InpaintingReport], folder: Path | None) -> None:
    for name, report in reports.items() if folder else ():
        report.save(folder / f"{name.replace(',', '').replace(' ', '-')}.json")


if __name__ == "__main__":
    sys.exit(main())
