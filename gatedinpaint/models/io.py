"""Networks as files: a folder with ``model.safetensors`` and ``config.json``, never a pickle."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from gatedinpaint.models.deepfillv2 import DeepFillV2Generator
from gatedinpaint.models.discriminator import SNPatchDiscriminator
from gatedinpaint.models.generator import InpaintGenerator

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
_TYPES = {"base_channels": int, "reference": bool}
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
        dtype: store floating-point weights in this type; ``torch.float16`` halves the file.
        overwrite: replace a model that is there.

    Raises:
        FileExistsError: the folder holds a model and ``overwrite`` is not set.
        TypeError: a network of another class.

    Example:
        >>> folder = getfixture("tmp_path") / "generator"
        >>> save_model(InpaintGenerator(2), folder)
        >>> load_model(folder).config
        {'base_channels': 2, 'reference': True}
    """
    name = type(model).__name__
    if _MODELS.get(name) is not type(model):
        raise TypeError(f"model must be one of {', '.join(_MODELS)}; got {name}.")
    folder = Path(folder)
    taken = [file for file in (WEIGHTS_FILE, CONFIG_FILE) if (folder / file).exists()]
    if taken and not overwrite:
        raise FileExistsError(
            f"{folder} already holds {' and '.join(taken)}. Pass overwrite=True to replace the model."
        )
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        key: (value.to(dtype) if dtype and value.is_floating_point() else value).detach().cpu().contiguous()
        for key, value in model.state_dict().items()
    }
    with tempfile.TemporaryDirectory(prefix=".saving-", dir=folder) as temporary:
        (Path(temporary) / WEIGHTS_FILE).write_bytes(save(weights))
        config = json.dumps({"model": name, **model.config}, indent=2) + "\n"
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
            name of a device.

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
    try:
        place = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"device must name a device such as 'cpu' or 'cuda:0'; got {device!r}.") from error
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
    _check_fit(model, weights, folder / WEIGHTS_FILE)
    model.to_empty(device=place).load_state_dict(weights, strict=True)
    return model.eval()


def _build(*, model: str, **config: Any) -> nn.Module:
    for key, value in config.items():
        if key in _TYPES and type(value) is not _TYPES[key]:  # True is an int to isinstance
            raise TypeError(f"{key} must be {_TYPES[key].__name__}; got {value!r}.")
    return _MODELS[model](**config)


def _check_fit(model: nn.Module, weights: dict[str, torch.Tensor], path: Path) -> None:
    expected = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in weights.items()}
    problems = [f"missing {key}" for key in expected.keys() - found.keys()]
    problems += [f"unexpected {key}" for key in found.keys() - expected.keys()]
    problems += [
        f"{key} is {found[key]}, expected {expected[key]}"
        for key in expected.keys() & found.keys()
        if found[key] != expected[key]
    ]
    if problems:
        shown = "; ".join(sorted(problems)[:5]) + (f"; and {len(problems) - 5} more" if len(problems) > 5 else "")
        raise ValueError(f"{path}: weights do not fit {type(model).__name__}: {shown}.")
