"""The whole way once, on what is in the installed packages: no network, no photo of yours.

    python -m examples.mask_removal.demo

A face mask is drawn on scikit-image's photo of an astronaut, and taken off again. The reference is no second photo of
her but the same one seen otherwise: mirrored, turned by a warp, and in other light. Both are written beside the
picture, for ``remove`` to be tried on.
"""

from examples.mask_removal.needs import needs

if __name__ == "__main__":
    needs("faces,metrics", "cv2", "mediapipe", "PIL", "skimage")

import argparse
import sys
import time
from pathlib import Path

import torch
from skimage.data import astronaut

from examples.mask_removal.one_line import one_line
from examples.mask_removal.pipeline import load_default, remove_mask
from examples.mask_removal.remove import steps_sheet
from examples.mask_removal.views import View, seen_otherwise
from gatedinpaint import photo_to_image, write_photo
from gatedinpaint.faces import FaceLandmarker, draw_face_mask
from gatedinpaint.metrics import psnr

DEFAULT_OUTPUT = Path("out/demo.png")
VIEW = View(mirrored=True, turn=0.2, nod=0.05, gain=0.9, tint=(1.04, 1.0, 0.95), side_light=0.15)


def main(arguments: list[str] | None = None) -> int:
    """Write the picture, print where it is, how long each step took, and the figures; returns the exit code."""
    parser = argparse.ArgumentParser(prog="demo", description=__doc__.split("\n\n")[0])
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT, help=f"PNG; default: {DEFAULT_OUTPUT}")
    output: Path = parser.parse_args(arguments).output
    try:
        if output.suffix.lower() != ".png":
            raise ValueError(f"{output}: expected an ending .png; got {output.suffix or 'none'}.")
        for path in (output, *_inputs(output)):
            if path.is_dir() or (path.exists() and output != DEFAULT_OUTPUT):
                raise ValueError(f"{path}: exists already. Choose another name.")
        output.parent.mkdir(parents=True, exist_ok=True)
        _run(output)
    except (ValueError, OSError, ImportError) as error:
        print(f"demo: {one_line(error)}", file=sys.stderr)
        return 2
    return 0


def _inputs(output: Path) -> tuple[Path, Path]:
    """Where the photo with the drawn face mask and its reference are written."""
    return output.with_stem(f"{output.stem}-photo"), output.with_stem(f"{output.stem}-reference")


def _run(output: Path) -> None:
    began = time.perf_counter()
    landmarker, generator = FaceLandmarker(), load_default()
    truth = astronaut()
    face = landmarker.detect(truth)[0]
    print(f"{time.perf_counter() - began:6.2f} s  load the landmark model and the generator")
    masked, drawn = draw_face_mask(truth, face.landmarks, style="surgical", color="blue", seed=0)
    reference, _ = seen_otherwise(truth, face.landmarks, VIEW)

    removal = remove_mask(masked, generator, landmarker, reference=reference)
    for step, seconds in removal.seconds.items():
        print(f"{seconds:6.2f} s  {step}")

    write_photo(output, steps_sheet(masked, removal, truth), overwrite=True)
    for path, photo in zip(_inputs(output), (masked, reference), strict=True):
        write_photo(path, photo, overwrite=True)

    in_hole = torch.from_numpy(removal.hole)[None, None].float()
    score = psnr(photo_to_image(removal.photo), photo_to_image(truth), data_range=2.0, mask=in_hole).item()
    overlap = (removal.hole & drawn).sum() / (removal.hole | drawn).sum()
    outside = (removal.photo == masked)[~removal.hole].all()
    print(f"The found hole overlaps the drawn mask by {overlap:.2f} (intersection over union).")
    print(f"PSNR in the hole against the photo under the drawn mask: {score:.2f} dB.")
    print(f"Outside the hole every byte is that of the photo: {'yes' if outside else 'NO'}.")
    print("The reference is the same photo seen otherwise: mirrored, turned by a warp, in other light.")
    print(f"Picture: {output.resolve()}")
    print(f"Its photo and reference, to try remove on: {', '.join(path.name for path in _inputs(output))} beside it.")


if __name__ == "__main__":
    sys.exit(main())
