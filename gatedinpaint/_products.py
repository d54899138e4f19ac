"""Products of matrices at the rate of convolutions, on processors where PyTorch computes them at half of it.

AMD's processors since Zen 5 convolve with AVX-512, by oneDNN, but multiply matrices with AVX2, by MKL. oneDNN could do
that as well, at twice the rate, but PyTorch asks it only where the user allows to round to bfloat16 (PyTorch's note
"MKLDNN backend"). oneDNN makes use of the permission only on processors with instructions for it, AMX, which these
lack, so what it computes is float32. This is tried out once in every process before it is relied on.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch

from gatedinpaint._processor import vectors

_lock = threading.RLock()  # a handler of a signal may compute, or fork, in the thread that holds it
_inside = 0


@contextmanager
def at_full_rate() -> Iterator[None]:
    """Products of float32 matrices on a CPU inside the block are as exact as ever, and where possible faster.

    For large matrices: at small ones oneDNN is slower than MKL. A precision that the user has chosen by
    ``torch.backends.mkldnn.matmul.fp32_precision`` stays.

    Meanwhile ``torch.get_float32_matmul_precision()`` raises in other threads: PyTorch refuses a mix of its two ways to
    set a precision.
    """
    if not onednn_multiplies():
        yield
        return
    with _by_onednn():
        yield


def onednn_multiplies() -> bool:
    """Whether oneDNN computes the products in :func:`at_full_rate`."""
    return vectors() == "wider convolutions" and _may_multiply() and onednn_is_exact()


def _may_multiply() -> bool:
    """Whether the user permits to round, or we may permit it: nothing is chosen, and to change it is not forbidden."""
    settings: Any = getattr(torch.backends.mkldnn, "matmul", None)  # PyTorch before 2.9 has none
    return settings is not None and (settings.fp32_precision == "bf16" or _is_free(settings))


def _is_free(settings: Any) -> bool:
    return settings.fp32_precision == "none" and not torch.backends.flags_frozen()  # type: ignore[no-untyped-call]


@contextmanager
def _by_onednn() -> Iterator[None]:
    """The permission is one for all threads: the first who needs it gives it, the last takes it back."""
    global _inside
    settings: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    with _lock:
        if not _inside and _is_free(settings):
            settings.fp32_precision = "bf16"
            _inside = 1
        elif _inside:
            _inside += 1
        else:
            settings = None
    try:
        yield
    finally:
        if settings is not None:
            with _lock:
                _inside -= 1
                if not _inside:
                    _take_back(settings)


def _take_back(settings: Any) -> None:
    if settings.fp32_precision == "bf16":  # or another thread has chosen a precision meanwhile
        settings.fp32_precision = "none"


def _start_afresh() -> None:
    """In the child of a fork: the threads that would take the permission back are not there."""
    global _inside
    if _inside:
        _inside = 0
        _take_back(torch.backends.mkldnn.matmul)  # type: ignore[attr-defined]
    _lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_start_afresh)


@cache
def onednn_is_exact() -> bool:
    """Whether oneDNN multiplies float32 matrices in float32 although it need not; asked only where it may."""
    found: list[bool] = []
    # A thread of its own has none of the modes that the caller may have set, such as autocast or a counter of flops. An
    # executor would refuse once the main thread has ended.
    thread = threading.Thread(target=lambda: found.append(_try_out()))
    thread.start()
    thread.join()
    return found == [True]


def _try_out() -> bool:
    generator = torch.Generator().manual_seed(0)
    a, b = torch.rand(2, 4, 128, 128, generator=generator, dtype=torch.float32, device="cpu")
    with _by_onednn():
        product = torch.bmm(a, b)
    # bfloat16 would be off by a thousandth.
    return torch.allclose(product.double(), a.double() @ b.double(), rtol=1e-5, atol=0)
