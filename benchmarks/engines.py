"""The generator by PyTorch and by ONNX Runtime: milliseconds for one crop, and how far the results are apart.

    python -m examples.mask_removal.export_onnx            # once
    python -m benchmarks.engines [--model FOLDER] [--threads N] [--sizes 128 256]

The three take turns in one process with the same number of threads: the generator as it is loaded, a copy by
``optimize_for_inference``, and the ONNX file. ``share`` is ONNX Runtime's time over PyTorch's; below 1 is faster.
``difference`` is the largest one of a refined pixel, in grey levels of 255.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

from benchmarks.timing import interleaved
from examples.mask_removal.export_onnx import load_exported
from examples.mask_removal.one_line import EXPECTED, one_line
from examples.mask_removal.onnx_inference import OnnxGenerator
from examples.mask_removal.pipeline import WEIGHTS, load_generator
from gatedinpaint import InpaintGenerator, free_form_mask, optimize_for_inference


def arrays(generator: OnnxGenerator, size: int) -> list[np.ndarray]:
    """A smooth random image of one crop with a hole, and a reference where the generator takes one."""
    random = torch.Generator().manual_seed(size)
    coarse = torch.rand(2, 3, 8, 8, generator=random) * 2 - 1
    images = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic", antialias=False).clamp(-1, 1)
    hole = free_form_mask((size, size), hole_ratio=0.25, seed=0)
    values = [images[:1], hole, images[1:], torch.ones_like(hole)]
    return [value.numpy() for value in values[: len(generator.inputs)]]


def row(torch_generator: InpaintGenerator, onnx_generator: OnnxGenerator, size: int, *, repeats: int) -> str:
    """One line of the table."""
    inputs = arrays(onnx_generator, size)
    tensors = [torch.from_numpy(value) for value in inputs]
    optimized = optimize_for_inference(torch_generator)
    with torch.inference_mode():
        expected = torch_generator(*tensors).refined.numpy()
        difference = 127.5 * float(np.abs(onnx_generator(*inputs).refined - expected).max())
        seconds = interleaved(
            {
                "torch": lambda: torch_generator(*tensors),
                "optimized": lambda: optimized(*tensors),
                "onnx": lambda: onnx_generator(*inputs),
            },
            repeats=repeats,
        )
    milliseconds = [f"{1e3 * value:.1f}" for value in seconds.values()]
    shares = [f"{seconds['onnx'] / seconds[form]:.2f}" for form in ("torch", "optimized")]
    return f"| {size}² | {' | '.join([*milliseconds, *shares, f'{difference:.1e}'])} |"


def main(arguments: list[str] | None = None, *, repeats: int = 15) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.engines", description="The generator by PyTorch and by ONNX Runtime."
    )
    parser.add_argument("--model", type=Path, default=WEIGHTS, metavar="FOLDER", help="default: the shipped one")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of both (default: 1)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256], metavar="PIXELS", help="default: 128 256")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    try:
        onnx_generator = load_exported(options.model, threads=options.threads)
        print("| crop | PyTorch, ms | optimized, ms | ONNX Runtime, ms | share | share of optimized | difference |")
        print("|---" * 7 + "|")
        for size in options.sizes:
            print(row(load_generator(options.model), onnx_generator, size, repeats=repeats), flush=True)
    except EXPECTED as error:
        print(f"engines: {one_line(error)}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
