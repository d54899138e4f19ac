"""The states of a process's random generators, as tensors and plain numbers: what safe loading lets through.

Training itself draws from none of them: every sample and every twin has its own generator, from (seed, epoch, index).
They are kept so that a change which does draw from them, dropout for example, still resumes exactly.
"""

import random
from typing import Any

import numpy as np
import torch

_WORDS = 625
"""Of Python's generator; a number from ``random.gauss`` follows that it keeps for later, but in states of before."""


def seed_everything(seed: int) -> None:
    """Begin all global generators anew."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    torch.manual_seed(seed)


def random_state() -> dict[str, Any]:
    """The states of Python's, NumPy's and PyTorch's global generators, CPU and this process's GPU."""
    _, keys, position, has_gauss, gauss = np.random.get_state()  # noqa: NPY002
    _, words, gauss_next = random.getstate()
    return {
        "python": [*words, gauss_next],
        "numpy": [torch.from_numpy(np.asarray(keys).astype(np.int64)), int(position), int(has_gauss), float(gauss)],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
    }


def set_random_state(state: dict[str, Any]) -> None:
    """The inverse of :func:`random_state`; a GPU's state is left out where there is none."""
    words, kept = state["python"][:_WORDS], state["python"][_WORDS:]
    random.setstate((3, tuple(words), kept[0] if kept else None))
    keys, *rest = state["numpy"]
    np.random.set_state(("MT19937", keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
