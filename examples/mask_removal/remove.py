"""Take the face mask off a photo.

python -m examples.mask_removal.remove PHOTO --reference PHOTO2 --output RESULT
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np

from examples.mask_removal.pipeline import Origin, Removal, load_default, remove_mask
from examples.mask_removal.sheet import picture_sheet
from gatedinpaint import PhotoError, read_photo, write_photo
from gatedinpaint.faces import FaceLandmarker
from gatedinpaint.image import read_exif

ORIGIN_COLOURS = {Origin.ORIGINAL: (0, 0, 0), Origin.GUIDED: (0, 160, 80), Origin.INVENTED: (220, 60, 60)}

LEAST = 0.4
"""Smallest face that is looked for closely, as a share of the largest; smaller ones count where a glance shows them."""


def steps_sheet(photo: np.ndarray, removal: Removal, truth: np.ndarray | None = None) -> np.ndarray:
    """What happened, one row a face: photo, hole, warped reference, result, and the truth where it is known."""
    rows = []
    for face in removal.faces:
        panels = {"photo": face.crop(photo), "hole": face.crop(face.hole)}
        if face.reference is not None:
            panels["warped reference"] = face.reference
        panels["result"] = face.crop(removal.photo)
        if truth is not None:
            panels["truth"] = face.crop(truth)
        rows.append(panels)
    return picture_sheet([list(panels.values()) for panels in rows], titles=list(rows[0]), side=320)


def origin_picture(origin: np.ndarray) -> np.ndarray:
    """The map of original (black), guided (green) and invented (red) pixels as a photo."""
    return np.array([ORIGIN_COLOURS[Origin(value)] for value in range(3)], np.uint8)[origin]


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code: 0 done, 2 not possible, with one line that says why."""
    parser = argparse.ArgumentParser(prog="remove", description=__doc__.splitlines()[0])
    parser.add_argument("photo", type=Path, help="a photo of a person who wears a face mask")
    parser.add_argument("--reference", type=Path, help="another photo of the same person, without a mask")
    parser.add_argument("--output", type=Path, required=True, help="where the result goes, for example result.png")
    parser.add_argument(
        "--faces",
        type=_which_faces,
        default="masked",
        metavar="masked|all|NUMBER",
        help="masked (the default): every face with a mask, an error if none has; all: the same without the error; "
        "a number: that face, 0 being the largest",
    )
    parser.add_argument(
        "--max-faces",
        type=int,
        default=20,
        metavar="N",
        help="look for at most this many faces (default: 20)",
    )
    parser.add_argument(
        "--small-faces",
        action="store_true",
        help=f"look also for faces smaller than {LEAST} of the largest, passers-by perhaps: up to a second more",
    )
    parser.add_argument("--keep-location", action="store_true", help="keep where the photo was taken in the result")
    parser.add_argument("--save-steps", type=Path, metavar="PNG", help="also write a picture of all steps side by side")
    parser.add_argument("--save-map", type=Path, metavar="PNG", help="also write which pixels are guided and invented")
    parser.add_argument("--force", action="store_true", help="overwrite results that exist")
    options = parser.parse_args(arguments)
    try:
        print(_summary(_run(options), options.output))
    except (ValueError, OSError, ImportError, MemoryError, RuntimeError, cv2.error) as error:
        print(f"remove: {_one_line(error)}", file=sys.stderr)
        return 2
    return 0


def _run(options: argparse.Namespace) -> Removal:
    inputs = [path for path in (options.photo, options.reference) if path]
    outputs = [path for path in (options.output, options.save_steps, options.save_map) if path]
    _check_outputs(outputs, inputs, force=options.force)
    photo = read_photo(options.photo)
    reference = read_photo(options.reference) if options.reference else None
    landmarker = FaceLandmarker(max_faces=options.max_faces, least=0.0 if options.small_faces else LEAST)
    removal = remove_mask(photo, load_default(), landmarker, reference=reference, faces=options.faces)
    exif = read_exif(options.photo, location=options.keep_location)
    write_photo(options.output, removal.photo, overwrite=options.force, exif=exif)
    if options.save_steps and removal.faces:
        write_photo(options.save_steps, steps_sheet(photo, removal), overwrite=options.force)
    if options.save_map:
        write_photo(options.save_map, origin_picture(removal.origin), overwrite=options.force)
    return removal


def _summary(removal: Removal, output: Path) -> str:
    filled = removal.origin[removal.hole]
    if not len(filled):
        return f"{output}: nobody wears a face mask; the photo is as it was."
    guided = np.mean(filled == Origin.GUIDED)
    lossy = output.suffix.lower() in (".jpg", ".jpeg", ".webp")
    doubtful = sum(face.face_mask is not None and face.face_mask.source == "polygon" for face in removal.faces)
    return (
        f"{output}: {len(removal.faces)} face{'s'[: len(removal.faces) > 1]}, {len(filled)} pixels filled, "
        f"{guided:.0%} guided by the reference, {1 - guided:.0%} invented, in {sum(removal.seconds.values()):.1f} s."
        + (f" On {doubtful} the outline of the mask was not clear: the usual one was taken." if doubtful else "")
        + (" This format compresses the rest of the photo anew; .png keeps every byte of it." if lossy else "")
    )


def _which_faces(value: str) -> str | int:
    if value in ("masked", "all"):
        return value
    if value.isdecimal():
        return int(value)
    raise argparse.ArgumentTypeError(f"expected masked, all or a number from 0 on; got {value!r}")


def _check_outputs(outputs: list[Path], inputs: list[Path], *, force: bool) -> None:
    """Refuse what could not be written in the end, before any work is done."""
    sources = {path.resolve() for path in inputs}
    for path in outputs:
        if path.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"):
            raise PhotoError(f"{path}: expected an ending such as .png or .jpg; got {path.suffix or 'none'}.")
        if path.resolve() in sources:
            raise PhotoError(f"{path}: is one of the photos that are read. Choose another name for the result.")
        if path.is_dir():
            raise PhotoError(f"{path}: is a folder. Pass the name of the result, for example {path / 'result.png'}.")
        if path.exists() and not force:
            raise PhotoError(f"{path}: exists already. Choose another name, or pass --force to overwrite it.")
        if not path.parent.is_dir():
            raise PhotoError(f"{path}: the folder {path.parent} does not exist. Create it first.")
    if len({path.resolve() for path in outputs}) < len(outputs):
        raise PhotoError("--output, --save-steps and --save-map must name different files.")


def _one_line(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "not enough memory for a photo of this size. Shrink it first."
    return " ".join(str(error).split()) or type(error).__name__


if __name__ == "__main__":
    sys.exit(main())
