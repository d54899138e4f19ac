"""The mean of two generators of which one was trained on from the other, or both from a third.

    python -m examples.mask_removal.average FIRST SECOND --share 0.75 --output FOLDER

Weights that lie in one valley of the loss often have a mean that is better than either: what each run ended at by
chance is averaged away. Where the runs gained in different things, the share trades one for the other.

Reference: Wortsman et al., "Model soups: averaging weights of multiple fine-tuned models improves accuracy without
increasing inference time", ICML 2022.
"""

from examples.mask_removal.needs import needs

if __name__ == "__main__":
    needs("faces", "cv2", "mediapipe", "PIL")

import argparse
import copy
import sys
from pathlib import Path

import torch

from examples.mask_removal.one_line import EXPECTED, one_line
from examples.mask_removal.pipeline import load_generator
from gatedinpaint import InpaintGenerator, save_model


def averaged(first: InpaintGenerator, second: InpaintGenerator, share: float = 0.5) -> InpaintGenerator:
    """(1 − share) · first + share · second, weight by weight; neither is changed.

    Raises:
        ValueError: two different networks, or a share that is not in 0…1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share must be in 0…1; got {share}.")
    if first.config != second.config:
        raise ValueError(f"expected two networks of one kind; got {first.config} and {second.config}.")
    mean = copy.deepcopy(first)
    others = second.state_dict()
    with torch.no_grad():
        for name, weight in mean.state_dict().items():
            if weight.is_floating_point():
                weight.lerp_(others[name], share)
    return mean


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.mask_removal.average",
        description="Write the mean of two generators that were trained from the same weights.",
        epilog="exit code: 0 written; 2 not possible, with one line that says why",
    )
    parser.add_argument("first", type=Path, metavar="FIRST", help="the folder of a generator")
    parser.add_argument("second", type=Path, metavar="SECOND", help="that of another")
    parser.add_argument("--share", type=float, default=0.5, help="of the second one, in 0…1 (default: 0.5)")
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="must not hold a model yet")
    options = parser.parse_args(arguments)
    try:
        mean = averaged(load_generator(options.first), load_generator(options.second), options.share)
        save_model(mean, options.output)
    except EXPECTED as error:
        print(f"average: {one_line(error)}", file=sys.stderr)
        return 2
    print(f"{options.output}: {options.share:g} of {options.second}, the rest of {options.first}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
