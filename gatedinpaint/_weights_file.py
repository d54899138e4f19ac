"""Weights of other projects, read from a file without running anything in it."""

import os
import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor


def read_weights(path: str | os.PathLike[str], *, inside: str | None = None) -> dict[str, Tensor]:
    """The tensors of a state dict, by their names in the file; those under the key ``inside`` where there is one.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a damaged file, a pickle with anything but tensors and plain data in it, or no dict of tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file. Expected a .safetensors file or a PyTorch checkpoint.")
    if path.suffix == ".safetensors":
        try:
            return dict(load_file(path))
        except SafetensorError as error:
            raise ValueError(f"{path}: damaged or not a safetensors file: {error}") from error
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path}: no PyTorch checkpoint of tensors alone. It is damaged, or it holds objects whose loading would "
            "run code; such a file is not opened here."
        ) from error
    except Exception as error:  # over damaged files torch.load stumbles in many ways: KeyError, EOFError, IndexError, …
        raise ValueError(f"{path}: damaged or not a PyTorch checkpoint: {error}") from error
    state = content.get(inside, content) if isinstance(content, Mapping) else content
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        where = f", or a dict whose key {inside} holds one" if inside else ""
        raise ValueError(f"{path}: expected a dict of tensors{where}; got something else.")
    return {str(key): value for key, value in state.items()}
