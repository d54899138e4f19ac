"""When two runs count as the same: bit for bit."""

from pathlib import Path
from typing import Any

import torch

from examples.mask_removal.checkpoint import load_last_checkpoint


def final(run: Path) -> dict[str, Any]:
    """The last state, but for the time it took and the file it began with."""
    state = load_last_checkpoint(run)
    assert state is not None
    del state["seconds"], state["origin"]
    return state


def assert_same(first: Any, second: Any, where: str = "state") -> None:
    """Bit for bit, all the way down."""
    assert type(first) is type(second), where
    if isinstance(first, torch.Tensor):
        assert first.dtype == second.dtype and torch.equal(first, second), where
    elif isinstance(first, dict):
        assert first.keys() == second.keys(), where
        for key in first:
            assert_same(first[key], second[key], f"{where}.{key}")
    elif isinstance(first, list | tuple):
        assert len(first) == len(second), where
        for index, pair in enumerate(zip(first, second, strict=True)):
            assert_same(*pair, f"{where}[{index}]")
    else:
        assert first == second, where
