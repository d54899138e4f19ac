"""Generators as ONNX files, checked against PyTorch before they are put in place."""

import copy
import os
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gatedinpaint._checks import check_size
from gatedinpaint._optional import require

__all__ = ["export_onnx"]

# Of results in [-1, 1].
_TOLERANCE = 1e-4
# Bytes of weights, from which the exporter puts them into a second file.
_LARGEST = 1536 * 2**20
# Of a network that does not say what it pads its input to a multiple of.
_MULTIPLE = 16


def export_onnx(
    model: nn.Module,
    path: str | os.PathLike[str],
    *,
    size: tuple[int, int] = (256, 256),
    dynamic: bool = True,
    metadata: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> None:
    """Write a generator as an ONNX file, in eval mode and float32, for ONNX Runtime and others.

    The file's inputs are named ``image`` and ``mask``, and for a generator with reference also ``reference`` and
    ``reference_mask``; its outputs ``coarse`` and ``refined``. Types, shapes and ranges are those of the generator, all
    in float32. A generator with reference always takes all four: zeros in both for a photo without.

    The file first gets a temporary name beside ``path``. ONNX Runtime must agree with PyTorch to 1e-4 in every pixel
    of random images, of ``size`` and, when dynamic, of an odd size and another batch; only then it is renamed.
    Exporting takes about a minute with open sizes, a quarter of that with a fixed one. ``model`` is not changed.

    Args:
        model: an :class:`InpaintGenerator`, a :class:`DeepFillV2Generator`, or any network whose ``forward(image,
            mask)`` returns a tuple with the names ``coarse`` and ``refined``. One that pads its input to a multiple of
            more than 16 says so by an attribute ``size_multiple``.
        path: the file, usually ``*.onnx``.
        size: (height, width) of the images; when dynamic, of those with which the network is traced.
        dynamic: any batch, height and width may come; otherwise one image of ``size``.
        metadata: entries of one's own, which ONNX Runtime returns as ``get_modelmeta().custom_metadata_map``.
            When dynamic, ``smallest_side`` is there already: the least height and width in pixels.
        overwrite: replace a file that is there.

    Raises:
        ImportError: without the extra ``[onnx]``.
        FileExistsError: the file is there and ``overwrite`` is not set.
        TypeError: what is not a network, or one whose result is not named ``coarse`` and ``refined``.
        ValueError: a size under 17 pixels, or 33 with a U-Net as first stage: the smallest map inside must be more than
            a point; more than 1.5 GB of weights, which do not go into one file.
        RuntimeError: the results differ; nothing has been written.

    Example:
        >>> from gatedinpaint import InpaintGenerator
        >>> export_onnx(InpaintGenerator(8), "generator.onnx")  # doctest: +SKIP
        >>> import onnxruntime  # doctest: +SKIP
        >>> session = onnxruntime.InferenceSession("generator.onnx")  # doctest: +SKIP
        >>> coarse, refined = session.run(None, arrays)  # a dict of four float32 arrays  # doctest: +SKIP
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a generator, an nn.Module; got {type(model).__name__}.")
    check_size(size)
    if min(size) < (smallest := _smallest_side(model)):
        raise ValueError(f"size must be (height, width), each {smallest} pixels or more; got {size}.")
    weights = 4 * sum(tensor.numel() for tensor in (*model.parameters(), *model.buffers()))
    if weights > _LARGEST:
        raise ValueError(
            f"model must have at most {_LARGEST / 2**30:g} GB of weights in float32, as much as one ONNX file takes; "
            f"got {weights / 2**30:.1f} GB. Build it with fewer base_channels."
        )
    path = Path(path)
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} is already there. Pass overwrite=True to replace it.")
    for module in ("onnx", "onnxscript", "onnxruntime"):
        require(module, "onnx")
    stages = _Stages(model)
    program = _trace(stages, size, dynamic=dynamic)
    about = {"smallest_side": str(_smallest_side(model))} if dynamic else {}
    program.model.metadata_props.update({**(metadata or {}), **about})
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".exporting-", dir=path.parent) as temporary:
        file = Path(temporary) / "model.onnx"
        program.save(file)
        shapes = [(1, *size)]
        if dynamic:
            shapes += [(3, size[0] + 5, max(size[1] // 2 + 9, _smallest_side(model)))]
        for batch, height, width in shapes:
            _check(file, stages, batch, (height, width))
        file.replace(path)


class _Stages(nn.Module):
    """A copy of the generator that returns its images alone, as a plain tuple."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        model = copy.deepcopy(model).cpu().float().eval().requires_grad_(False)
        # The file knows no layout, and weights in channels_last bind a trace to sizes by their strides.
        self.model = model.to(memory_format=torch.contiguous_format)
        with_reference = bool(getattr(model, "reference", False))
        self.names = ["image", "mask", "reference", "reference_mask"][: 4 if with_reference else 2]

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        output = self.model(*inputs)
        if not (hasattr(output, "coarse") and hasattr(output, "refined")):
            raise TypeError(
                f"{type(self.model).__name__} must return a tuple with the names coarse and refined; "
                f"got {getattr(output, '_fields', 'no names')}."
            )
        return output.coarse, output.refined

    def random_inputs(self, batch: int, size: tuple[int, int]) -> tuple[Tensor, ...]:
        """Uniform images in [-1, 1], and masks of which half of the pixels are 1."""
        generator = torch.Generator("cpu").manual_seed(0)
        shapes = [(batch, 1 if "mask" in name else 3, *size) for name in self.names]
        return tuple(
            2 * noise - 1 if noise.shape[1] == 3 else noise.round()
            for noise in (torch.rand(shape, generator=generator, device="cpu", dtype=torch.float32) for shape in shapes)
        )


def _smallest_side(model: nn.Module) -> int:
    """At which the smallest map of a network is 2 × 2: tracing takes a length of 1 for a constant."""
    return int(getattr(model, "size_multiple", _MULTIPLE)) + 1


def _trace(stages: _Stages, size: tuple[int, int], *, dynamic: bool) -> Any:
    # A batch of 2, because tracing takes a length of 1 for a constant.
    inputs = stages.random_inputs(2 if dynamic else 1, size)
    sides = [torch.export.Dim(name, min=_smallest_side(stages.model)) for name in ("height", "width")]
    shape = {0: torch.export.Dim("batch"), 2: sides[0], 3: sides[1]}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of the exporter's own parts, which nobody here can mend
        exported = torch.export.export(
            stages, inputs, dynamic_shapes=((shape,) * len(inputs),) if dynamic else None, strict=False
        )
        return torch.onnx.export(
            exported,
            dynamo=True,
            input_names=stages.names,
            output_names=["coarse", "refined"],
            verbose=False,
        )


def _check(file: Path, stages: _Stages, batch: int, size: tuple[int, int]) -> None:
    """Raise unless ONNX Runtime gives what PyTorch gives."""
    inputs = stages.random_inputs(batch, size)
    with torch.no_grad():
        expected = stages(*inputs)
    session = require("onnxruntime", "onnx").InferenceSession(str(file), providers=["CPUExecutionProvider"])
    found = session.run(None, {name: x.numpy() for name, x in zip(stages.names, inputs, strict=True)})
    for name, ours, theirs in zip(("coarse", "refined"), expected, found, strict=True):
        difference = float((ours - torch.from_numpy(theirs)).abs().max())
        if not difference <= _TOLERANCE:
            raise RuntimeError(
                f"ONNX Runtime and PyTorch must agree to {_TOLERANCE:g}; {name} differs by {difference:.2g} at "
                f"{(batch, *size)}. Nothing was written. Compare the versions of torch, onnxscript and onnxruntime."
            )
