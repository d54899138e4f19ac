"""Measure a generator on the held-out people of a training set.

    python -m examples.mask_removal.evaluate --data DIR [--model FOLDER] [--limit N] [--methods NAME ...]

Prints one row for each method: PSNR and SSIM inside the hole, LPIPS of the whole crop, and the Fréchet distance on
VGG16 features of the lower face. The methods are the generator without reference, the same with one if it takes one (a
second photo of the person where there is one, else the same photo seen otherwise), its coarse stage alone, and OpenCV's
Telea inpainting to compare with. The same holes serve all of them.
"""

import argparse
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from examples.mask_removal.data import Batch, FaceDataset
from examples.mask_removal.lower_face import LowerFaceFeatures
from examples.mask_removal.pipeline import WEIGHTS
from gatedinpaint import InpaintGenerator, composite, image_to_photo, load_model, photo_to_image
from gatedinpaint.metrics import LPIPS, FrechetDistance, psnr, ssim

_BATCH = 16

Fill = Callable[[Batch], Tensor]
"""What a method makes of a batch: whole frames, of which only the hole is used."""


def telea(batch: Batch) -> Tensor:
    """Fill every hole by OpenCV's fast marching method.

    Reference:
        Telea, "An Image Inpainting Technique Based on the Fast Marching Method", Journal of Graphics Tools 2004.
    """
    filled = []
    for image, mask in zip(batch.image, batch.mask, strict=True):
        photo = cv2.inpaint(image_to_photo(image[None]), mask[0].byte().numpy(), 3, cv2.INPAINT_TELEA)
        filled.append(photo_to_image(photo))
    return torch.cat(filled)


def methods_of(generator: InpaintGenerator) -> dict[str, Fill]:
    """The methods that are compared, by name; the batches they get come with references."""
    methods: dict[str, Fill] = {"without reference": lambda batch: generator(*batch[:2]).refined}
    if generator.config["reference"]:
        methods["with reference"] = lambda batch: generator(*batch).refined
    return methods | {"coarse only": lambda batch: generator(*batch[:2]).coarse, "Telea": telea}


@torch.inference_mode()
def measure(
    dataset: FaceDataset, positions: Sequence[int], methods: Mapping[str, Fill], networks: Sequence[LPIPS]
) -> dict[str, dict[str, float]]:
    """Figures by method: of what it makes of the samples, composited with the image.

    Args:
        dataset: faces with references.
        positions: the samples that count.
        methods: what is measured.
        networks: the forms of LPIPS; the Fréchet distance is measured over the trunk of ``LPIPS("vgg")``.
    """
    lower_face = LowerFaceFeatures(next(network for network in networks if network.net == "vgg"))
    frechet = {method: FrechetDistance(lower_face) for method in methods}
    figures: dict[str, dict[str, list[float]]] = {method: {} for method in methods}
    for first in tqdm(range(0, len(positions), _BATCH), leave=False, disable=None):
        samples = [dataset[position] for position in positions[first : first + _BATCH]]
        batch = Batch(*(torch.stack(x) for x in zip(*samples, strict=True)))
        truth = [network.features(batch.image) for network in networks]
        lower_truth = lower_face(batch.image)
        for method, fill in methods.items():
            result = composite(fill(batch).clamp(-1, 1), batch.image, batch.mask)
            values = {
                "PSNR in hole": psnr(result, batch.image, data_range=2.0, mask=batch.mask),
                "SSIM in hole": ssim(result, batch.image, data_range=2.0, mask=batch.mask),
            }
            for network, features in zip(networks, truth, strict=True):
                values[f"LPIPS {network.net}"] = network.distance(network.features(result), features)
            for name, value in values.items():
                figures[method].setdefault(name, []).extend(value.tolist())
            frechet[method].update_features(lower_truth, real=True).update(result, real=False)
    return {
        method: {name: float(np.mean(values)) for name, values in figures[method].items()}
        | {"Fréchet": frechet[method].compute() if len(positions) > 1 else math.nan}
        for method in methods
    }


def table(figures: Mapping[str, Mapping[str, float]]) -> str:
    """A Markdown table, one row for each method."""
    names = list(next(iter(figures.values())))
    lines = ["| method | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for method, row in figures.items():
        lines.append(f"| {method} | " + " | ".join(f"{row[name]:{_digits(name)}}" for name in names) + " |")
    return "\n".join(lines)


def _digits(name: str) -> str:
    return ".4f" if name.startswith("LPIPS") else ".2f" if name.startswith(("PSNR", "Fr")) else ".3f"


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="evaluate", description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="training set written by prepare.py")
    parser.add_argument("--model", type=Path, default=WEIGHTS, help="folder of a generator (default: the shipped one)")
    parser.add_argument("--limit", type=int, help="measure on so many faces from all over the held-out part only")
    parser.add_argument("--methods", nargs="+", metavar="NAME", help="these methods only")
    options = parser.parse_args(arguments)
    try:
        faces = FaceDataset(options.data, validation=True, reference_share=1.0)
        generator = load_model(options.model)
        if not isinstance(generator, InpaintGenerator):
            raise ValueError(f"{options.model}: expected an InpaintGenerator; got a {type(generator).__name__}.")
        methods = methods_of(generator)
        if unknown := set(options.methods or ()) - methods.keys():
            raise ValueError(f"--methods: {sorted(unknown)} unknown; there are {list(methods)}.")
        methods = {name: fill for name, fill in methods.items() if name in (options.methods or methods)}
        positions = spread(len(faces), options.limit)
        figures = measure(faces, positions, methods, [LPIPS("alex"), LPIPS("vgg")])
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 2
    print(table(figures))
    side = faces[0].image.shape[-1]
    print(f"\n{len(positions)} of {len(faces)} crops of people held out of training, {side} px, means.")
    print("Fréchet: on VGG16 features of the lower face; comparable at equal numbers of crops only.")
    return 0


def spread(length: int, limit: int | None) -> list[int]:
    """All positions, or ``limit`` from all over the set, always the same ones."""
    if limit is not None and limit < 2:
        raise ValueError(f"--limit must be 2 or more; got {limit}.")
    count = min(limit or length, length)
    return sorted({round(position * (length - 1) / max(1, count - 1)) for position in range(count)})


if __name__ == "__main__":
    sys.exit(main())
