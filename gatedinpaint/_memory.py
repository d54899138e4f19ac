"""What the C library does with memory that is given back."""

from functools import cache

import torch


@cache
def keep_freed_memory() -> None:
    """Let the C library keep what it frees for the next step, up to 64 MB, once per process.

    glibc gives memory beyond a threshold back to the system at once, and the system clears every page anew: a third of
    the time of a large layer. The threshold rises to the largest block that was freed, of at most 32 MiB: this one is
    never touched. It does nothing where another C library, or ``MALLOC_TRIM_THRESHOLD_``, decides.
    """
    torch.empty(2**25 - 2**16, dtype=torch.uint8, device="cpu")
