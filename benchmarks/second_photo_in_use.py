"""What a second photo adds in use: the whole pipeline takes drawn face masks off held-out faces.

    python -m benchmarks.second_photo_in_use --data SET [--limit N] [--model DIR] [--output FILE]

On every face with a real second photo a face mask is drawn, of a style chosen by the sample's place. ``remove_mask``
sees the drawn-on crop alone: hole and landmarks have the errors that they have in use. Three rows: without the second
photo; with it; and with it but warped onto the landmarks as they were believed under the face mask, not looked for
again on the painted face. PSNR in the hole that was filled, LPIPS of the crop with the truth around that hole.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from benchmarks.tables import add_output, publish, table
from examples.mask_removal.held_out import HeldOut
from examples.mask_removal.pipeline import WEIGHTS, load_generator, remove_mask
from gatedinpaint import InpaintGenerator, photo_to_image
from gatedinpaint.faces import (
    MASK_STYLES,
    Face,
    FaceLandmarker,
    Landmarker,
    MaskNotFoundError,
    NoFaceError,
    draw_face_mask,
)
from gatedinpaint.metrics import LPIPS, psnr

ROWS = ("without it", "with it", "with it, landmarks as believed under the face mask")


class OnlyIn:
    """A landmarker that looks into the photos named alone, and finds nobody in others."""

    def __init__(self, landmarker: Landmarker, *photos: np.ndarray) -> None:
        self.landmarker, self.photos = landmarker, photos

    def detect(self, photo: np.ndarray) -> list[Face]:
        return self.landmarker.detect(photo) if any(np.array_equal(photo, known) for known in self.photos) else []


def figures(
    faces: HeldOut,
    generator: InpaintGenerator,
    landmarker: Landmarker,
    lpips: Callable[[Tensor, Tensor], Tensor],
) -> Iterator[list[tuple[float, float]] | None]:
    """PSNR and LPIPS of each row, for each face with a second photo; None where no face mask was found."""
    for place, pair in enumerate(faces.pairs()):
        truth, landmarks = faces.faces.load(pair.position)[:2]
        second = faces.faces.load(pair.own).photo
        masked, _ = draw_face_mask(truth, landmarks, style=MASK_STYLES[place % len(MASK_STYLES)], seed=place)
        believing = OnlyIn(landmarker, masked, second)
        row = []
        try:
            for seer, reference in ((landmarker, None), (landmarker, second), (believing, second)):
                removal = remove_mask(masked, generator, seer, reference=reference, size=len(truth))
                filled = photo_to_image(np.where(removal.hole[..., None], removal.photo, truth))
                hole = torch.from_numpy(removal.hole)[None, None].float()
                decibels = psnr(filled, photo_to_image(truth), data_range=2.0, mask=hole)
                with torch.inference_mode():
                    row.append((decibels.item(), lpips(filled, photo_to_image(truth)).item()))
        except (MaskNotFoundError, NoFaceError, ValueError):  # the last: the second photo seems to wear one
            yield None
        else:
            yield row


def report(rows: Sequence[Sequence[tuple[float, float]]]) -> str:
    """The means, and the gains over the first row."""
    decibels, distances = np.moveaxis(np.array(rows), 2, 0)
    lines = []
    for place, name in enumerate(ROWS):
        gains = [
            f"{(decibels[:, place] - decibels[:, 0]).mean():+.2f}",
            f"{100 * (distances[:, place].mean() / distances[:, 0].mean() - 1):+.1f} %",
        ]
        gain, change = gains if place else ("–", "–")
        lines.append([name, f"{decibels[:, place].mean():.2f}", gain, f"{distances[:, place].mean():.4f}", change])
    return table(["the second photo", "PSNR hole, dB", "gain, dB", "LPIPS alex", "change"], lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="second_photo_in_use", description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", required=True, help="training set written by examples.mask_removal.prepare")
    parser.add_argument("--model", type=Path, default=WEIGHTS, metavar="DIR", help="in place of the shipped generator")
    parser.add_argument("--limit", type=int, help="look at so many held-out faces only")
    add_output(parser)
    options = parser.parse_args(arguments)
    try:
        lpips = LPIPS("alex")
        faces = HeldOut(options.data, limit=options.limit)
        if not faces.pairs():
            raise ValueError("No face of this set has a second photo: prepare it with --identities.")
        measured = figures(faces, load_generator(options.model), FaceLandmarker(), lpips)
        bar = tqdm(measured, total=len(faces.pairs()), desc="take off", unit=" faces", leave=False, disable=None)
        rows = [row for row in bar if row is not None]
        if not rows:
            raise ValueError("No face mask was found on any face.")
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        print(f"second_photo_in_use: {error}", file=sys.stderr)
        return 2
    publish([report(rows), f"{len(rows)} of {len(faces.pairs())} crops of held-out people."], options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
