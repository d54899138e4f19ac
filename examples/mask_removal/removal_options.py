"""The options of ``remove``, and what its ``--help`` says."""

import argparse
from pathlib import Path

from examples.mask_removal.painting import SIZES
from examples.mask_removal.pipeline import WEIGHTS

LEAST = 0.4
"""Smallest face that is looked for closely, as a share of the largest; smaller ones count where a glance shows them."""

EXAMPLES = """\
examples:
  python -m examples.mask_removal.remove masked.jpg --output result.png
  python -m examples.mask_removal.remove masked.jpg --reference bare.jpg --output result.png --save-steps steps.png
  python -m examples.mask_removal.remove group.jpg --faces 1 --reference bare.jpg --output result.png
  python -m examples.mask_removal.remove masked.jpg --mask hole.png --output result.png
  python -m examples.mask_removal.remove holiday/ more.heic --faces all --output results/ --save-steps steps/

photos:    JPEG, PNG, WebP, TIFF, BMP; HEIC with pip install ".[heic]"; at most 100 megapixels
results:   PNG, TIFF and BMP keep every byte outside the hole; JPEG and WebP are written at quality 95
exit code: 0 all done; 1 some photos could not be done; 2 none could, or the command is wrong; 130 interrupted

What is painted under a mask is invented. It is no evidence of what anybody looks like.
"""


def parser() -> argparse.ArgumentParser:
    """Every option of the command."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.mask_removal.remove",
        description="Take the face masks off photos: of one photo, of several, or of whole folders.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "photos",
        nargs="+",
        type=Path,
        metavar="PHOTO",
        help="photos of people who wear face masks, or folders of them",
    )
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="PATH",
        help="of one photo the result, for example result.png; of several the folder for the results, where those that "
        "are there already are left as they are",
    )
    which = parser.add_argument_group("what is filled")
    which.add_argument(
        "--reference",
        type=Path,
        metavar="PHOTO",
        help="another photo of the same person, without a mask: mouth and nose follow it, where they are invented "
        "otherwise",
    )
    which.add_argument(
        "--faces",
        type=_which_faces,
        default="masked",
        metavar="masked|all|NUMBER",
        help="masked (the default): every face with a mask, an error if none has; all: the same without the error; "
        "a number: that face, 0 being the largest",
    )
    which.add_argument(
        "--mask",
        type=Path,
        metavar="PNG",
        help="the hole, instead of the one that is found: as large as the photo, white on what is to be filled and "
        "black elsewhere",
    )
    which.add_argument(
        "--max-faces", type=_positive, default=20, metavar="N", help="look for at most this many faces (default: 20)"
    )
    which.add_argument(
        "--small-faces",
        action="store_true",
        help=f"look also for faces smaller than {LEAST} of the largest, passers-by perhaps: up to a second more",
    )
    written = parser.add_argument_group("what is written")
    written.add_argument(
        "--save-steps",
        type=Path,
        metavar="PATH",
        help="also write a picture of all steps side by side; of several photos a folder of them",
    )
    written.add_argument(
        "--save-map",
        type=Path,
        metavar="PATH",
        help="also write which pixels are the photo's own (black), guided by the reference (green) and invented (red); "
        "of several photos a folder",
    )
    written.add_argument(
        "--format",
        choices=["png", "jpg", "webp", "tif", "bmp"],
        default="png",
        help="of the results of several photos (default: png)",
    )
    written.add_argument(
        "--keep-location", action="store_true", help="keep where the photo was taken, in the EXIF of the result"
    )
    written.add_argument(
        "--force", action="store_true", help="overwrite results that exist; never a photo that is read"
    )
    written.add_argument(
        "--json",
        action="store_true",
        help="print a JSON object for each photo, a line each, and a last one with the summary",
    )
    network = parser.add_argument_group("the network")
    network.add_argument(
        "--model",
        type=Path,
        default=WEIGHTS,
        metavar="FOLDER",
        help="a generator of your own, for example RUN/generator (default: the one that comes with this example)",
    )
    network.add_argument(
        "--size",
        type=_positive,
        metavar="PIXELS",
        help="side of the crops that the model was trained on (default: those of the default model, "
        f"{' or '.join(map(str, SIZES))} by how large the face is in the photo)",
    )
    network.add_argument(
        "--engine",
        choices=["torch", "onnx"],
        default="torch",
        help="what computes the generator; onnx: the file that export_onnx writes beside the model (default: torch)",
    )
    network.add_argument(
        "--device", default="cpu", help="where the generator runs: cpu, cuda or cuda:NUMBER (default: cpu)"
    )
    return parser


def _which_faces(value: str) -> str | int:
    if value in ("masked", "all"):
        return value
    if value.isdecimal():
        return int(value)
    raise argparse.ArgumentTypeError(f"expected masked, all or a number from 0 on; got {value!r}")


def _positive(value: str) -> int:
    if value.isdecimal() and int(value) > 0:
        return int(value)
    raise argparse.ArgumentTypeError(f"expected a whole number from 1 on; got {value!r}")
