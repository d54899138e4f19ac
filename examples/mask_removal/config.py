"""The trainer's configuration: its settings, its presets, and reading it from the ``config.json`` of a run."""

import json
from pathlib import Path
from typing import Any

from examples.mask_removal.joint_stages import joint, joint_finish, last, polish, polish_finish
from examples.mask_removal.presets import PRESETS, deepgin, paper, smoke
from examples.mask_removal.settings import Config, LossWeights
from examples.mask_removal.stages import coarse, coarse_finish, coarse_start, small, small_finish, small_start

__all__ = [
    "PRESETS",
    "Config",
    "LossWeights",
    "coarse",
    "coarse_finish",
    "coarse_start",
    "deepgin",
    "from_dict",
    "joint",
    "joint_finish",
    "last",
    "paper",
    "polish",
    "polish_finish",
    "read_config",
    "small",
    "small_finish",
    "small_start",
    "smoke",
]


def from_dict(values: Any) -> Config:
    """The inverse of :meth:`Config.to_dict`; unknown names and values of other types are errors.

    What is missing has its default: a run begun before a setting existed did what the default does.
    """
    defaults = Config().to_dict()
    _check_like(values, defaults, name="configuration")
    values = defaults | values
    return Config(**{**values, "weights": LossWeights(**values["weights"]), "betas": tuple(values["betas"])})


def read_config(path: Path) -> Config:
    """The configuration in a run's ``config.json``.

    Raises:
        ValueError: it holds none; the message names the file.
    """
    try:
        return from_dict(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:  # what is no JSON or no UTF-8 raises a ValueError too
        raise ValueError(f"{path}: not a configuration: {error}") from error


def _check_like(value: Any, example: Any, *, name: str) -> None:
    """Raise unless ``value`` is built like ``example``: known names, same types; whole numbers may stand for floats."""
    if isinstance(example, dict) and isinstance(value, dict):
        if unknown := sorted(value.keys() - example.keys()):
            raise ValueError(f"{name}: unknown settings {unknown}; known are {sorted(example)}.")
        for key in value:
            _check_like(value[key], example[key], name=key)
    elif isinstance(example, tuple) and isinstance(value, tuple | list) and len(value) == len(example):
        for index, item in enumerate(value):
            _check_like(item, example[index], name=f"{name}[{index}]")
    elif type(value) is not type(example) and not (type(value) is int and type(example) is float):
        raise ValueError(f"{name} must be like {example!r} ({type(example).__name__}); got {value!r}.")
