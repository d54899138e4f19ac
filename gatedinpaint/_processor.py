"""What the processor is, as far as it decides how to compute."""

import platform
import re
from functools import cache
from pathlib import Path

import torch

_CPUINFO = Path("/proc/cpuinfo")
_ZEN_5 = 26


@cache
def products_use_half_the_width() -> bool:
    """Whether a product of matrices has half the rate of a convolution: on AMD's processors since Zen 5.

    oneDNN, which convolves, takes their AVX-512, which Zen 5 computes at full width; MKL, which multiplies matrices,
    keeps to AVX2 on processors that are not Intel's. Measured: 94 against 240 GFLOP/s on one core.
    """
    if torch.backends.cpu.get_cpu_capability() != "AVX512" or not torch.backends.mkl.is_available():  # type: ignore[no-untyped-call]
        return False
    return amd_family(_description()) >= _ZEN_5


def amd_family(description: str) -> int:
    """The family of a processor of AMD's, 0 of another's, out of ``/proc/cpuinfo`` or what Windows calls it."""
    family = re.search(r"\bfamily\s*:?\s*(\d+)", description, re.IGNORECASE)
    return int(family[1]) if family and "AuthenticAMD" in description else 0


def _description() -> str:
    try:
        with _CPUINFO.open(encoding="utf-8", errors="replace") as file:
            return file.read(1000)
    except OSError:
        return platform.processor()
