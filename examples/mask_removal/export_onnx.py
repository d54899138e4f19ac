"""Write the generator as an ONNX file, for ``remove --engine onnx`` and for ``onnx_inference.py``.

python -m examples.mask_removal.export_onnx [--model FOLDER] [--output FILE]
"""

from examples.mask_removal.needs import needs

if __name__ == "__main__":
    needs("faces,onnx", "cv2", "mediapipe", "PIL", "onnx", "onnxscript", "onnxruntime")

import argparse
import hashlib
import sys
from pathlib import Path

from examples.mask_removal.one_line import EXPECTED, one_line
from examples.mask_removal.onnx_inference import FILE_NAME, MODEL_KEY, OnnxGenerator
from examples.mask_removal.painting import SIZES
from examples.mask_removal.pipeline import WEIGHTS, load_generator
from gatedinpaint.export import export_onnx

_COMMAND = "python -m examples.mask_removal.export_onnx"


def model_hash(model: Path) -> str:
    """SHA-256 of a model's files, which ties an exported file to them."""
    parts = (hashlib.sha256((model / name).read_bytes()).digest() for name in ("config.json", "model.safetensors"))
    return hashlib.sha256(b"".join(parts)).hexdigest()


def load_exported(model: Path, *, threads: int | None = None) -> OnnxGenerator:
    """The ONNX file beside a model's weights.

    Raises:
        FileNotFoundError: it has not been written yet.
        ValueError: it was written from another model; or it is damaged.
    """
    path, argument = model / FILE_NAME, "" if model == WEIGHTS else f" --model {model}"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file. Write it once: {_COMMAND}{argument}")
    generator = OnnxGenerator(path, threads=threads)
    if generator.model_sha256 != model_hash(model):
        raise ValueError(f"{path}: was not made from the model beside it. Write it again: {_COMMAND}{argument} --force")
    return generator


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog=_COMMAND,
        description="Write a generator as an ONNX file, for any batch, height and width. It takes a minute or two: "
        "ONNX Runtime has to agree with PyTorch before the file is put in place.",
        epilog="exit code: 0 written; 2 not possible, with one line that says why",
    )
    parser.add_argument(
        "--model", type=Path, default=WEIGHTS, metavar="FOLDER", help="the generator (default: the shipped one)"
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help=f"default: {FILE_NAME} in the model's folder, where remove looks for it",
    )
    parser.add_argument("--force", action="store_true", help="replace a file that exists")
    options = parser.parse_args(arguments)
    output = options.output or options.model / FILE_NAME
    try:
        if output.suffix.lower() != ".onnx":
            raise ValueError(f"{output}: expected an ending .onnx; got {output.suffix or 'none'}.")
        if output.exists() and not options.force:
            raise FileExistsError(f"{output}: exists already. Choose another --output, or pass --force.")
        about = {MODEL_KEY: model_hash(options.model)}
        size = (SIZES[0], SIZES[0])
        export_onnx(load_generator(options.model), output, size=size, metadata=about, overwrite=options.force)
    except EXPECTED as error:
        print(f"export_onnx: {one_line(error)}", file=sys.stderr)
        return 2
    print(f"{output}: {output.stat().st_size / 1e6:.1f} MB; ONNX Runtime and PyTorch agree.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
