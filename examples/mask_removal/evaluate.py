"""Measure a generator on the held-out people of a training set.

    python -m examples.mask_removal.evaluate --data DIR [--model FOLDER]

Prints one row for each method: PSNR and SSIM inside the hole, and LPIPS (AlexNet) of the whole crop. The methods are
the generator without reference, the same with one if it takes one (a second photo of the person where there is one,
else the same photo seen otherwise), and OpenCV's Telea inpainting to compare with. The same holes serve all of them.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from examples.mask_removal.data import Batch, FaceDataset
from examples.mask_removal.perceptual_networks import AlexNetFeatures
from examples.mask_removal.pipeline import WEIGHTS
from gatedinpaint import InpaintGenerator, composite, image_to_photo, load_model, photo_to_image
from gatedinpaint.metrics import psnr, ssim

_BATCH = 16


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


@torch.inference_mode()
def measure(dataset: FaceDataset, fill: Callable[[Batch], Tensor], features: AlexNetFeatures) -> dict[str, float]:
    """Means over a data set of what ``fill`` makes of it, composited with the image."""
    figures: dict[str, list[float]] = {"PSNR in hole": [], "SSIM in hole": [], "LPIPS": []}
    for first in tqdm(range(0, len(dataset), _BATCH), leave=False, disable=None):
        samples = [dataset[index] for index in range(first, min(first + _BATCH, len(dataset)))]
        batch = Batch(*(torch.stack(x) for x in zip(*samples, strict=True)))
        result = composite(fill(batch), batch.image, batch.mask)
        figures["PSNR in hole"] += psnr(result, batch.image, data_range=2.0, mask=batch.mask).tolist()
        figures["SSIM in hole"] += ssim(result, batch.image, data_range=2.0, mask=batch.mask).tolist()
        figures["LPIPS"] += features.distance(features(result), features(batch.image)).tolist()
    return {name: float(np.mean(values)) for name, values in figures.items()}


def table(rows: Sequence[tuple[str, dict[str, float]]]) -> str:
    """A Markdown table, one row for each method."""
    names = list(rows[0][1])
    lines = ["| method | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for method, figures in rows:
        lines.append(f"| {method} | " + " | ".join(f"{figures[name]:.3f}" for name in names) + " |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="evaluate", description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="training set written by prepare.py")
    parser.add_argument("--model", type=Path, default=WEIGHTS, help="folder of a generator (default: the shipped one)")
    options = parser.parse_args(arguments)
    try:
        alone = FaceDataset(options.data, validation=True, reference_share=0.0)
        guided = FaceDataset(options.data, validation=True, reference_share=1.0)
        generator = load_model(options.model)
        if not isinstance(generator, InpaintGenerator):
            raise ValueError(f"{options.model}: expected an InpaintGenerator; got a {type(generator).__name__}.")
        features = AlexNetFeatures()
        rows = [("without reference", measure(alone, lambda batch: generator(*batch[:2]).refined, features))]
        if generator.config["reference"]:
            rows.append(("with reference", measure(guided, lambda batch: generator(*batch).refined, features)))
        rows.append(("Telea", measure(alone, telea, features)))
    except (ValueError, OSError, ImportError) as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 2
    print(table(rows))
    print(f"\n{len(alone)} crops of people held out of training, {alone[0].image.shape[-1]} px, means.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
