"""The generator without PyTorch: numpy and ONNX Runtime alone.

    python -m examples.mask_removal.export_onnx                      # once, where PyTorch is: writes the file
    python -m examples.mask_removal.onnx_inference CROP --hole HOLE.png --output RESULT.png

The command, which needs Pillow as well, fills an aligned crop of a face, as ``gatedinpaint.faces.align`` cuts it out.
From a program::

    generator = OnnxGenerator("generator.onnx")
    coarse, refined = generator(image, mask)          # arrays as the generator's tensors
    result = fill(generator, crop, hole)              # uint8 photo and bool hole
"""

import argparse
import os
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

MODEL_KEY = "model_sha256"
"""Under which the file says what weights it was made of."""
FILE_NAME = "generator.onnx"
DEFAULT_FILE = Path(__file__).parent / "weights" / FILE_NAME


class Stages(NamedTuple):
    """What the generator returns: float32 (B, 3, H, W) each, whole frames."""

    coarse: np.ndarray
    refined: np.ndarray


class OnnxGenerator:
    """A generator that ``gatedinpaint.export.export_onnx`` wrote, on a CPU.

    Args:
        path: the file.
        threads: of ONNX Runtime; by default one for each core.

    Raises:
        FileNotFoundError: no such file.
        ValueError: damaged, or another kind of network.
    """

    def __init__(self, path: str | os.PathLike[str], *, threads: int | None = None) -> None:
        import onnxruntime

        if not Path(path).is_file():
            raise FileNotFoundError(f"{path}: no such file. Write it: python -m examples.mask_removal.export_onnx")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # what it warns of is for those who make graphs
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime has a dozen classes without a common one
            raise ValueError(f"{path}: damaged or not an ONNX file: {error}") from error
        self._about: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
        self.inputs = [value.name for value in self._session.get_inputs()]
        known = ["image", "mask", "reference", "reference_mask"]
        if self.inputs not in (known[:2], known) or len(self._session.get_outputs()) != 2:
            raise ValueError(f"{path}: expected a generator with the inputs {', '.join(known)}; got {self.inputs}.")

    @property
    def reference(self) -> bool:
        """Whether it takes a second photo."""
        return len(self.inputs) == 4

    @property
    def model_sha256(self) -> str:
        """Hash of the files of the model that it was made of; empty where the file does not say."""
        return self._about.get(MODEL_KEY, "")

    @property
    def smallest_side(self) -> int:
        """Least height and width of an image."""
        return int(self._about.get("smallest_side", 17))

    def __call__(
        self,
        image: np.ndarray,
        mask: np.ndarray,
        reference: np.ndarray | None = None,
        reference_mask: np.ndarray | None = None,
    ) -> Stages:
        """Fill the hole, as the generator's ``forward``.

        Args:
            image: float32 (B, 3, H, W) in [−1, 1], of ``smallest_side`` pixels or more in both directions.
            mask: float32 (B, 1, H, W), 1 = hole.
            reference: the second photo warped onto the first, as ``image``.
            reference_mask: where it is known, as ``mask``; by default everywhere.

        Raises:
            ValueError: other shapes, a reference for a generator without, or a reference_mask without reference.
        """
        size = image.shape[2:]
        if image.ndim != 4 or image.shape[1] != 3 or min(size, default=0) < self.smallest_side:
            raise ValueError(f"image must be (B, 3, H, W) of {self.smallest_side} pixels or more; got {image.shape}.")
        if reference is not None and not self.reference:
            raise ValueError("this generator has no reference channels. Leave the reference out.")
        if reference is None and reference_mask is not None:
            raise ValueError("reference_mask was given without reference. Pass both, or neither.")
        if reference is None:
            reference, reference_mask = np.zeros_like(image), np.zeros_like(image[:, :1])
        elif reference_mask is None:
            reference_mask = np.ones_like(image[:, :1])
        arrays = {"image": image, "mask": mask, "reference": reference, "reference_mask": reference_mask}
        arrays = {name: np.ascontiguousarray(arrays[name], np.float32) for name in self.inputs}
        for name, array in arrays.items():
            shape = (len(image), 1 if name.endswith("mask") else 3, *size)
            if array.shape != shape:
                raise ValueError(f"{name} must be {shape} as the image; got {array.shape}.")
        return Stages(*self._session.run(None, arrays))

    def paint(
        self, crop: np.ndarray, hole: np.ndarray, reference: np.ndarray | None = None, known: np.ndarray | None = None
    ) -> np.ndarray:
        """The refined stage for one photo, its whole frame, uint8 (H, W, 3).

        Args:
            crop: uint8 RGB (H, W, 3).
            hole: bool (H, W).
            reference: uint8 RGB, warped onto the crop.
            known: bool (H, W), where the reference shows something.
        """
        arrays = [as_image(crop), as_mask(hole)]
        if reference is not None:
            arrays += [as_image(reference), as_mask(np.ones_like(hole) if known is None else known)]
        return as_photo(self(*arrays).refined)


def fill(
    generator: OnnxGenerator,
    crop: np.ndarray,
    hole: np.ndarray,
    reference: np.ndarray | None = None,
    known: np.ndarray | None = None,
) -> np.ndarray:
    """The crop with its hole filled: outside the hole every byte is the crop's. Arguments as those of ``paint``."""
    return np.where(hole[..., None], generator.paint(crop, hole, reference, known), crop)


def as_image(photo: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3) → float32 (1, 3, H, W) in [−1, 1]."""
    if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3:
        raise ValueError(f"a photo must be uint8 RGB (H, W, 3); got {photo.dtype} {photo.shape}.")
    return photo.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(127.5) - np.float32(1)


def as_mask(hole: np.ndarray) -> np.ndarray:
    """bool (H, W) → float32 (1, 1, H, W), 1 = hole."""
    if hole.dtype != bool or hole.ndim != 2:
        raise ValueError(f"a hole must be bool (H, W); got {hole.dtype} {hole.shape}. Use hole > 127.")
    return hole[None, None].astype(np.float32)


def as_photo(image: np.ndarray) -> np.ndarray:
    """float (1, 3, H, W) in [−1, 1] → uint8 (H, W, 3), clipped and rounded."""
    pixels = np.round((image[0] + np.float32(1)) * np.float32(127.5)).clip(0, 255)
    return np.ascontiguousarray(pixels.astype(np.uint8).transpose(1, 2, 0))


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.mask_removal.onnx_inference",
        description="Fill the hole of an aligned crop of a face, without PyTorch.",
        epilog="exit code: 0 done; 2 not possible, with one line that says why",
    )
    parser.add_argument("crop", type=Path, help="an aligned crop, for example 128 × 128 pixels")
    parser.add_argument("--hole", type=Path, required=True, help="as large as the crop, white where it is to be filled")
    parser.add_argument("--output", type=Path, required=True, help="the result, for example result.png")
    parser.add_argument("--reference", type=Path, help="a second photo, warped onto the crop")
    parser.add_argument("--known", type=Path, help="white where the reference shows something (default: everywhere)")
    parser.add_argument(
        "--model", type=Path, default=DEFAULT_FILE, help=f"default: {DEFAULT_FILE.name} of this example"
    )
    options = parser.parse_args(arguments)
    try:
        if options.output.exists():
            raise FileExistsError(f"{options.output}: exists already. Choose another name.")
        if options.known and not options.reference:
            raise ValueError("--known says where the reference shows something. Pass --reference too.")
        from PIL import Image

        crop, reference = (_read(path) for path in (options.crop, options.reference))
        hole, known = (None if path is None else _read(path)[..., 0] > 127 for path in (options.hole, options.known))
        result = fill(OnnxGenerator(options.model), crop, hole, reference, known)
        Image.fromarray(result).save(options.output)
    except (ValueError, OSError, ImportError) as error:
        print(f"onnx_inference: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


def _read(path: Path | None) -> np.ndarray | None:
    """The picture as uint8 (H, W, 3), upright."""
    from PIL import Image, ImageOps

    if path is None:
        return None
    try:
        with Image.open(path, formats=["PNG", "JPEG", "WEBP"]) as file:
            picture = ImageOps.exif_transpose(file)
    except Image.DecompressionBombError as error:
        raise ValueError(f"{path}: too many pixels for a crop.") from error
    if picture.has_transparency_data:
        raise ValueError(f"{path}: expected a picture without transparency; got mode {picture.mode}. Fill it first.")
    if picture.mode.startswith("I"):  # 16 bits, which Pillow's own conversion would saturate
        grey = (np.asarray(picture) / 257).round().clip(0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    return np.array(picture.convert("RGB"))


if __name__ == "__main__":
    sys.exit(main())
