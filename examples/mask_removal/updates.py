"""What one generator learned about references, as updates of another one that keeps its weights.

    python -m examples.mask_removal.updates PLAIN GUIDED --rank 19 --output FOLDER

GUIDED was trained on from PLAIN with references. The result fills without a reference as PLAIN does, and with one
nearly as GUIDED does: by weights that differ from PLAIN's by what the rank leaves of the difference. The trainer goes
on from there with ``--start-from FOLDER --reference-rank 19``.
"""

from examples.mask_removal.needs import needs

if __name__ == "__main__":
    needs("faces", "cv2", "mediapipe", "PIL")

import argparse
import sys
from pathlib import Path

import torch

from examples.mask_removal.one_line import EXPECTED, one_line
from examples.mask_removal.pipeline import load_generator
from gatedinpaint import InpaintGenerator, save_model


def with_updates(plain: InpaintGenerator, guided: InpaintGenerator, rank: int) -> InpaintGenerator:
    """``plain`` with updates of a rank, which make ``guided`` of it as far as they can; neither is changed.

    Raises:
        ValueError: two different networks, one that has updates already, or a rank below 1.
    """
    if plain.config != guided.config or plain.reference_rank:
        raise ValueError(f"expected two networks of one kind without updates; got {plain.config} and {guided.config}.")
    if rank < 1:
        raise ValueError(f"rank must be 1 or more; got {rank}.")
    result = InpaintGenerator(**plain.config, reference_rank=rank).eval()
    result.coarse.load_state_dict(plain.coarse.state_dict())
    result.refine.load_state_dict(plain.refine.state_dict())
    assert result.guided is not None
    result.guided.take_(plain, guided)
    return result


def merged(generator: InpaintGenerator) -> InpaintGenerator:
    """One without updates, whose weights are those that ``generator`` fills with a reference by."""
    config = {name: value for name, value in generator.config.items() if name != "reference_rank"}
    result = InpaintGenerator(**config).train(generator.training)
    stages = generator if generator.guided is None else generator.guided.stages(generator)
    result.coarse.load_state_dict(stages.coarse.state_dict())
    result.refine.load_state_dict(stages.refine.state_dict())
    return result


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.mask_removal.updates",
        description="Write a generator that fills without a reference as PLAIN does, and with one nearly as GUIDED.",
        epilog="exit code: 0 written; 2 not possible, with one line that says why",
    )
    parser.add_argument("plain", type=Path, metavar="PLAIN", help="the folder of a generator")
    parser.add_argument("guided", type=Path, metavar="GUIDED", help="of one that was trained on from it")
    parser.add_argument("--rank", type=int, default=19, help="of the updates (default: 19)")
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="must not hold a model yet")
    options = parser.parse_args(arguments)
    try:
        result = with_updates(load_generator(options.plain), load_generator(options.guided), options.rank)
        save_model(result, options.output, dtype=torch.float16)
    except EXPECTED as error:
        print(f"updates: {one_line(error)}", file=sys.stderr)
        return 2
    assert result.guided is not None
    count = sum(weight.numel() for weight in result.guided.parameters())
    print(f"{options.output}: {options.plain} with {count:,} weights more for references.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
