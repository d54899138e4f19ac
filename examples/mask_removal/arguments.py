"""The trainer's command line: where things are, how to run, and every setting of the configuration."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import torch
import tyro

from examples.mask_removal.config import PRESETS, Config, read_config, small

CONFIG_FILE = "config.json"

PresetName = Literal[
    "paper",
    "deepgin",
    "small_start",
    "small",
    "small_finish",
    "coarse_start",
    "coarse",
    "coarse_finish",
    "joint",
    "joint_finish",
    "polish",
    "polish_finish",
    "last",
    "smoke",
]

DESCRIPTION = """\
Train the mask-removal generator; an interrupted run is continued by the same command.

examples:
  python -m examples.mask_removal.train --data SET --output TRY --preset smoke --steps-constant 10  (does it run?)
  python -m examples.mask_removal.train --data SET --output RUN                 (hours)
  python -m examples.mask_removal.train --data SET --output RUN --profile       (what a step costs)
  torchrun --nproc-per-node 4 -m examples.mask_removal.train --data SET --output RUN --preset paper --device cuda

presets:
  small         for one CPU core (the default)
  small_start   what small starts from, at 64 pixels
  small_finish  what follows small, at 256 and 128 pixels
  coarse_start  another first stage, by itself, at 64 pixels
  coarse        what follows coarse_start, at 128 pixels
  coarse_finish what follows coarse, at 256 and 128 pixels
  joint         coarse and small_finish together
  joint_finish  coarse_finish and joint together, with more skips
  polish        what follows joint_finish
  polish_finish what follows polish
  last          what follows polish_finish, up to the shipped weights
  paper         as published, for GPUs
  deepgin       with its ancestor's losses, for GPUs
  smoke         a few steps

The result is RUN/generator, which remove and evaluate take as --model.

exit code: 0 trained; 2 not possible, with one line that says why; 130 interrupted, 143 by SIGTERM
"""


@dataclass(frozen=True)
class Arguments:
    """Train the mask-removal generator; an interrupted run is continued by the same command."""

    data: str
    """Training set written by prepare.py: a folder, or the URL of one."""
    output: Path
    """Folder of the run."""
    preset: PresetName | None = None
    """Configuration of a new run, by default small; a run that exists keeps the one it began with."""
    device: str = "cuda" if torch.cuda.is_available() else "cpu"
    """cpu; cuda, which is a GPU of its own for each process; or cuda:NUMBER for a single one."""
    workers: int = 1
    """Processes that load data, for each rank; 0 loads in the training process."""
    threads: int | None = None
    """CPU threads of the training process; by default PyTorch's choice."""
    resume: str = "auto"
    """auto: from the last good checkpoint, where there is one; never: only a new run; or the path of a checkpoint."""
    start_from: Path | None = None
    """Folder of a generator, as a run or save_model writes one: a new run begins with its weights. For other photos or
    another image size."""
    coarse_from: Path | None = None
    """Folder of a generator whose first stage a new run begins with, in place of that of --start-from."""
    profile: bool = False
    """Print what each part of a step costs, and train nothing."""
    config: Annotated[Config, tyro.conf.arg(name="")] = field(default_factory=small)
    """Every setting, each by its own option."""


@dataclass(frozen=True)
class _Base:
    """What decides the defaults of the other options."""

    output: Path | None = None
    preset: PresetName | None = None


def parse(words: Sequence[str]) -> Arguments:
    """Read the command line; what it leaves out comes from the run that is there, or else from the preset.

    Raises:
        ValueError: the run that is there was begun with other settings.
    """
    base, _ = tyro.cli(_Base, args=words, return_unknown_args=True, add_help=False)
    path = base.output / CONFIG_FILE if base.output else None
    begun = read_config(path) if path and path.exists() else None
    default = PRESETS[base.preset]() if base.preset else begun or small()
    arguments = tyro.cli(
        Arguments,
        prog="python -m examples.mask_removal.train",
        args=words,
        default=Arguments(data=tyro.MISSING, output=tyro.MISSING, config=default),
        description=DESCRIPTION,
    )
    if begun and begun != arguments.config:
        old, new = begun.to_dict(), arguments.config.to_dict()
        different = ", ".join(f"{name} {old[name]} → {new[name]}" for name in old if old[name] != new[name])
        raise ValueError(
            f"{path}: the run that is there was begun with another configuration: {different}. "
            "Leave --preset and the settings out to go on with it, or choose another --output."
        )
    if arguments.threads is not None and arguments.threads < 1:
        raise ValueError(f"--threads must be 1 or more; got {arguments.threads}.")
    if arguments.workers < 0:
        raise ValueError(f"--workers must be 0 or more; got {arguments.workers}.")
    return arguments


def write_config(run: Path, config: Config) -> None:
    """Keep the resolved configuration with the run."""
    run.mkdir(parents=True, exist_ok=True)
    part = run / f"{CONFIG_FILE}.part"
    part.write_text(json.dumps(config.to_dict(), indent=2) + "\n", encoding="utf-8")
    part.replace(run / CONFIG_FILE)
