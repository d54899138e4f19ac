"""How good the results are: every method on the same faces and holes, in one table.

    python -m benchmarks.quality --data SET [--model FOLDER] [--limit N]
    python -m benchmarks.quality --dataset celeba|ffhq DIR

The first takes the held-out people of a training set; the second is the paper's own protocol, for those who have its
data. Writes results/quality.{json,md,png}, which hold no picture of anybody, and into out/quality/ the reports with a
row for every image and a sheet of pictures, which are not to be committed. Deep image prior is fitted anew to every
image and therefore measured on a few of them, in a table of its own.
"""

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.baselines import FolderOfResults, biharmonic, deepfillv2, pasted_reference, prior_of
from benchmarks.protocol import PAPERS_SIDE, Faces, first_of, held_out, papers, with_folders
from benchmarks.quality_report import markdown, plot
from benchmarks.tables import json_place
from examples.mask_removal.evaluate import measure
from examples.mask_removal.fills import Fill, fills_of, navier_stokes, telea
from examples.mask_removal.held_out import HeldOut
from examples.mask_removal.judging import FIGURES
from examples.mask_removal.pipeline import WEIGHTS
from examples.mask_removal.second_photo import measure_pairs, pair_table, yaw_table
from examples.mask_removal.sheet import picture_sheet
from gatedinpaint import InpaintGenerator, composite, image_to_photo, load_model, write_photo
from gatedinpaint.metrics import LPIPS, InceptionFeatures, InpaintingReport

RESULTS = Path(__file__).parent / "results" / "quality.json"
PICTURES = Path(__file__).parents[1] / "out" / "quality"
_SHEET_ROWS = 8
_STAND_IN = (
    "With reference, and pasted: where a person has no second photo, the same photo mirrored, turned and lit otherwise "
    "stands in, which shows the truth itself and flatters both rows. What a real second photo is worth is said below."
)


def fills(generator: InpaintGenerator, options: argparse.Namespace, side: int, *, references: bool) -> dict[str, Fill]:
    """All methods but deep image prior, by name."""
    ours = {f"ours, {name}": fill for name, fill in fills_of(generator, side).items()}
    if not references:
        ours.pop("ours, with reference", None)
    chosen: dict[str, Fill] = {**ours, "Telea": telea, "Navier-Stokes": navier_stokes, "biharmonic": biharmonic}
    if references:
        chosen["pasted reference"] = pasted_reference
    if options.deepfillv2:
        chosen["DeepFillv2"] = deepfillv2(options.deepfillv2)
    return chosen


def table(title: str, reports: Mapping[str, InpaintingReport], notes: Sequence[str] = ()) -> dict[str, Any]:
    """What the JSON file keeps of reports: means with their intervals, and the distances."""
    methods = {
        name: {figure: list(value) for figure, value in report.summary().items()} | report.distances
        for name, report in reports.items()
    }
    return {"title": title, "methods": methods, "notes": list(notes)}


def run(options: argparse.Namespace, generator: InpaintGenerator, faces: Faces) -> dict[str, Any]:
    """Measure everything; returns what the JSON file holds."""
    references = isinstance(faces.source, HeldOut) and bool(generator.config["reference"])
    side = faces.source.faces[0].image.shape[-1] if isinstance(faces.source, HeldOut) else PAPERS_SIDE
    chosen = fills(generator, options, side, references=references)
    folders = {name: FolderOfResults(Path(folder)) for name, _, folder in (x.partition("=") for x in options.results)}
    if taken := sorted(folders.keys() & {"", *chosen}):
        raise ValueError(f"--results: {taken} are taken; there are {list(chosen)}. Give the pictures another name.")
    options.pictures.mkdir(parents=True, exist_ok=True)  # what is measured for hours must have a place
    networks = [LPIPS("alex"), LPIPS("vgg")]
    inception = [InceptionFeatures(options.inception)] if options.inception else []
    about = faces.source.about if isinstance(faces.source, HeldOut) else {}
    batches = with_folders(faces.source.batches(), chosen, folders)
    reports = measure(batches, chosen, networks, inception, count=faces.count, **about)
    save(reports, options.pictures)
    first = next(iter(reports.values()))
    title = f"{faces.about}{left_out(faces)}; 95 % intervals"
    tables = [table(title, reports, [_STAND_IN] if references else [])]
    if options.prior_images:
        some = list(first_of(faces.source.batches(), options.prior_images))
        few = {name: chosen[name] for name in ("ours, without reference", "Telea")}
        fitted = measure(some, few | {"deep image prior": prior_of(options.prior_steps)}, networks, distances=False)
        images = sum(len(ids) for ids, _ in some)
        note = f"It is fitted anew to every image, here in {options.prior_steps} steps; the original takes thousands."
        tables.append(table(f"Deep image prior, on {images} of them only", fitted, [note]))
    texts = {}
    if references and isinstance(faces.source, HeldOut) and (pairs := faces.source.pairs()):
        of_pairs, likeness = measure_pairs(faces.source, pairs, generator, networks)
        ids = faces.source.ids([pair.position for pair in pairs])
        yaws = dict(zip(ids, (pair.yaw_difference for pair in pairs), strict=True))
        texts[f"With a second photo, on the {len(pairs)} crops that have a real one"] = pair_table(of_pairs, likeness)
        texts["By the difference in yaw of the two photos"] = yaw_table(of_pairs, yaws)
        save({f"pairs, {name}": report for name, report in of_pairs.items()}, options.pictures)
    draw_sheet(faces, chosen, folders, options.pictures / "sheet.png")
    ratios = first.by_hole_ratio()
    by_ratio = {
        f"{label} of the crop, {row.pop('images')} crops": {name: list(row[name]) for name in FIGURES[:4]}
        for label, row in ratios.items()
    }
    tables.append({"title": f"{first.method}, by the share of the hole", "methods": by_ratio, "notes": []})
    manifest = {**first.manifest, "command": without_folders(first.manifest["command"])}
    model = hashlib.sha256((options.model / "model.safetensors").read_bytes()).hexdigest()
    data = first.protocol["data"]
    return {"model": model, "data": data, "tables": tables, "texts": texts, "manifest": manifest}


def save(reports: Mapping[str, InpaintingReport], folder: Path) -> None:
    """Write every report with its rows."""
    for name, report in reports.items():
        report.save(folder / f"{re.sub('[^a-zA-Z0-9]+', '-', name)}.json")


def left_out(faces: Faces) -> str:
    """Says of how many photos there is no figure, once all were looked at."""
    missing = faces.source.damaged if isinstance(faces.source, HeldOut) else faces.source.skipped
    return f", {len(missing)} left out as damaged or without a face" if missing else ""


@torch.inference_mode()
def draw_sheet(faces: Faces, chosen: dict[str, Fill], folders: Mapping[str, FolderOfResults], path: Path) -> None:
    """A few faces with what every method makes of them."""
    rows: list[list[Any]] = []
    batches = with_folders(first_of(faces.source.batches(), _SHEET_ROWS), chosen, folders)
    for _, batch in batches:
        seen = composite(torch.zeros_like(batch.image), batch.image, batch.mask)
        results = [composite(fill(batch).clamp(-1, 1), batch.image, batch.mask) for fill in chosen.values()]
        pictures = [seen, batch.reference, *results, batch.image]
        rows += [[image_to_photo(x[index : index + 1]) for x in pictures] for index in range(len(seen))]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_photo(path, picture_sheet(rows, titles=["seen", "reference", *chosen, "truth"], side=192), overwrite=True)


def without_folders(command: str) -> str:
    """The command without the folders of this machine: absolute paths are cut to their last part."""
    return re.sub(r"(?<![^\s=])/(?:[^\s/]+/)*(?=[^\s/]+)", "", command)


def strict(value: Any) -> Any:
    """JSON has no infinity and no NaN: they travel as words."""
    if isinstance(value, float) and not abs(value) < float("inf"):
        return str(value)
    if isinstance(value, dict):
        return {key: strict(item) for key, item in value.items()}
    return [strict(item) for item in value] if isinstance(value, list) else value


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="quality", description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", help="training set written by examples.mask_removal.prepare: a folder or URL")
    parser.add_argument("--dataset", nargs=2, metavar=("celeba|ffhq", "DIR"), help="the paper's protocol instead")
    parser.add_argument("--model", type=Path, default=WEIGHTS, help="folder of a generator (default: the shipped one)")
    parser.add_argument("--limit", type=int, help="so many faces from all over the set only")
    parser.add_argument("--deepfillv2", type=Path, metavar="FILE", help="weights of DeepFillv2")
    parser.add_argument("--results", nargs="*", default=[], metavar="NAME=DIR", help="pictures that others made")
    parser.add_argument("--inception", type=Path, metavar="FILE", help="weights of Inception: measure FID as well")
    parser.add_argument("--prior-images", type=int, default=4, help="faces for deep image prior (0: none)")
    parser.add_argument("--prior-steps", type=int, default=400, help="steps of deep image prior")
    parser.add_argument(
        "--output",
        type=json_place,
        metavar="FILE",
        help=f"the JSON file; table (.md) and plot (.png) go beside it (default {RESULTS.name} in benchmarks/results)",
    )
    parser.add_argument("--pictures", type=Path, default=PICTURES, help="folder for reports and sheet")
    options = parser.parse_args(arguments)
    if (options.data is None) == (options.dataset is None):
        parser.error("either --data SET or --dataset celeba|ffhq DIR")
    if options.dataset and options.dataset[0] not in ("celeba", "ffhq"):
        parser.error(f"--dataset must be celeba or ffhq; got {options.dataset[0]}")
    if options.prior_images < 0 or options.prior_steps < 2:
        parser.error("--prior-images must be 0 or more, and --prior-steps 2 or more")
    if any("=" not in name for name in options.results):
        parser.error(f"--results must be NAME=DIR; got {options.results}")
    try:
        generator = load_model(options.model)
        if not isinstance(generator, InpaintGenerator):
            raise ValueError(f"{options.model}: expected an InpaintGenerator; got a {type(generator).__name__}.")
        if options.dataset:
            faces = papers(options.dataset[0], Path(options.dataset[1]), options.limit)
        else:
            faces = held_out(options.data, options.limit)
        results = strict(run(options, generator, faces))
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        print(f"quality: {error}", file=sys.stderr)
        return 2
    output = options.output or RESULTS
    output.parent.mkdir(parents=True, exist_ok=True)
    content = json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False)
    output.write_text(content + "\n", encoding="utf-8")
    output.with_suffix(".md").write_text(markdown(results) + "\n", encoding="utf-8")
    plot(results, output.with_suffix(".png"))
    print(markdown(results))
    print(f"\n{options.pictures / 'sheet.png'}: pictures; do not commit them.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
