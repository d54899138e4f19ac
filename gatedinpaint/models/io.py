"""Networks as files: a folder with ``model.safetensors`` and ``config.json``, never a pickle."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from gatedinpaint.models._fit import in_short, misfits
from gatedinpaint.models.deepfillv2 import DeepFillV2Generator
from gatedinpaint.models.discriminator import SNPatchDiscriminator
from gatedinpaint.models.generator import InpaintGenerator

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
_TYPES = {
    **{"base_channels": int, "reference": bool, "coarse": str, "skips": str, "self_ensemble": bool},
    "reference_rank": int,
}
_MODELS: dict[str, type[nn.Module]] = {
    model.__name__: model for model in (InpaintGenerator, DeepFillV2Generator, SNPatchDiscriminator)
}


def save_model(
    model: InpaintGenerator | DeepFillV2Generator | SNPatchDiscriminator,
    folder: str | os.PathLike[str],
    *,
    dtype: torch.dtype | None = None,
    overwrite: bool = False,
) -> None:
    """Save a network as ``folder/model.safetensors`` and ``folder/config.json``.

    Both files are written under temporary names and renamed, so that each is there complete or not at all.

    Args:
        model: an :class:`InpaintGenerator`, :class:`DeepFillV2Generator` or :class:`SNPatchDiscriminator`.
        folder: created when absent.
        dtype: store floating-point weights in this floating-point type; ``torch.float16`` halves the file.
        overwrite: replace a model that is there.

    Raises:
        FileExistsError: the folder holds a model and ``overwrite`` is not set.
        TypeError: a network of another class, or one wrapped by DistributedDataParallel or torch.compile; a dtype that
            is not floating-point.
        ValueError: a weight too large for dtype; weights that :func:`load_model` would refuse, as those of a copy by
            :func:`optimize_for_inference`, where spectral norms are gone. Nothing is written then.

    Example:
        >>> folder = getfixture("tmp_path") / "generator"
        >>> save_model(InpaintGenerator(2), folder)
        >>> load_model(folder).config
        {'base_channels': 2, 'reference': True}
    """
    name = type(model).__name__
    if _MODELS.get(name) is not type(model):
        wrapped = [part for part in ("module", "_orig_mod") if type(getattr(model, part, None)) in _MODELS.values()]
        hint = f" Pass model.{wrapped[0]}." if wrapped else ""
        raise TypeError(f"model must be one of {', '.join(_MODELS)}; got {name}.{hint}")
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise TypeError(f"dtype must be a floating-point type such as torch.float16; got {dtype!r}.")
    weights = _weights(model, dtype)
    config = json.dumps({"model": name, **model.config}, indent=2) + "\n"
    with torch.device("meta"):
        problems = misfits(_build(**json.loads(config)).state_dict(), weights)
    if problems:
        raise ValueError(
            f"the weights are not those of {name}, and load_model would refuse them: {in_short(problems)}. Save the "
            "network itself, not a copy by optimize_for_inference."
        )
    folder = Path(folder)
    taken = [file for file in (WEIGHTS_FILE, CONFIG_FILE) if (folder / file).exists()]
    if taken and not overwrite:
        raise FileExistsError(
            f"{folder} already holds {' and '.join(taken)}. Pass overwrite=True to replace the model."
        )
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".saving-", dir=folder) as temporary:
        (Path(temporary) / WEIGHTS_FILE).write_bytes(save(weights))
        (Path(temporary) / CONFIG_FILE).write_text(config, encoding="utf-8")
        for file in (WEIGHTS_FILE, CONFIG_FILE):
            (Path(temporary) / file).replace(folder / file)


def load_model(folder: str | os.PathLike[str], *, device: torch.device | str = "cpu") -> Any:
    """Build the network described by ``folder/config.json`` and load its weights, strictly, in eval mode.

    Weights stored in half precision are loaded as float32. Nothing in the files is executed.

    Args:
        folder: written by :func:`save_model`.
        device: where the network goes.

    Raises:
        FileNotFoundError: one of the two files is missing.
        ValueError: a damaged file, an unknown network, or weights that do not fit it (the message names the keys); no
            name of a device, or of one that is not there or, as "meta", holds no values.

    Example:
        >>> folder = getfixture("tmp_path") / "discriminator"
        >>> save_model(SNPatchDiscriminator(2), folder, dtype=torch.float16)
        >>> load_model(folder).training
        False
    """
    folder = Path(folder)
    for file in (CONFIG_FILE, WEIGHTS_FILE):
        if not (folder / file).is_file():
            raise FileNotFoundError(f"{folder / file}: no such file. Expected a folder written by save_model.")
    place = _device(device)
    try:
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        # Without memory until the weights are known to fit: a wrong width must not ask for terabytes.
        with torch.device("meta"):
            model = _build(**config)
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ValueError(f"{folder / CONFIG_FILE}: not the configuration of {' or '.join(_MODELS)}: {error}") from error
    try:
        weights = load_file(folder / WEIGHTS_FILE)
    except SafetensorError as error:
        raise ValueError(f"{folder / WEIGHTS_FILE}: damaged or not a safetensors file: {error}") from error
    problems = misfits(model.state_dict(), weights)
    if problems:
        raise ValueError(f"{folder / WEIGHTS_FILE}: weights do not fit {type(model).__name__}: {in_short(problems)}.")
    model.to_empty(device=place).load_state_dict(weights, strict=True)
    return model.eval()


def _weights(model: nn.Module, dtype: torch.dtype | None) -> dict[str, Tensor]:
    """All tensors of the model, as they are stored."""
    stored = {}
    for key, value in model.state_dict().items():
        converted = value.to(dtype) if dtype and value.is_floating_point() else value
        # Not asked of the result: some types turn what is too large into infinity, others into their largest number.
        if dtype and (value.isfinite() & (value.abs() > torch.finfo(dtype).max)).any():
            raise ValueError(
                f"{key} does not fit into {dtype}: its largest value is {value.abs().max().item():.3g}. Store it in "
                "torch.float32 or torch.bfloat16."
            )
        stored[key] = converted.detach().cpu().contiguous()
    return stored


def _device(device: torch.device | str) -> torch.device:
    """A device on which a tensor can be made."""
    try:
        place = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"device must name a device such as 'cpu' or 'cuda:0'; got {device!r}.") from error
    if place.type == "meta":
        raise ValueError("device must hold values, which 'meta' does not. Pass device='cpu'.")
    try:
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError) as error:  # the latter from a PyTorch without that kind of device
        raise ValueError(f"device {str(place)!r} is not available here: {error} Pass device='cpu'.") from error
    return place


def _build(*, model: str, **config: Any) -> nn.Module:
    for key, value in config.items():
        if key in _TYPES and type(value) is not _TYPES[key]:  # True is an int to isinstance
            raise TypeError(f"{key} must be {_TYPES[key].__name__}; got {value!r}.")
    return _MODELS[model](**config)
