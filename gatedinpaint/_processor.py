"""What the processor is, as far as it decides how to compute."""

import platform
import re
from functools import cache
from pathlib import Path
from typing import Literal

import torch

_CPUINFO = Path("/proc/cpuinfo")
_ZEN_5 = 26


@cache
def vectors() -> Literal["avx2", "avx512", "wider convolutions"]:
    """What convolutions and products of matrices compute with in float32.

    ``"wider convolutions"`` are those of AMD's processors since Zen 5: oneDNN, which convolves, takes their AVX-512 at
    full width; MKL, which multiplies matrices, keeps to AVX2 on processors that are not Intel's. That is 232 against
    108 GFLOP/s on one core (``python -m benchmarks.speed --only gated --threads 1``). Whatever is neither counts as
    ``"avx512"``.
    """
    capability = torch.backends.cpu.get_cpu_capability()
    if capability == "AVX2":
        return "avx2"
    has_mkl = torch.backends.mkl.is_available()  # type: ignore[no-untyped-call]
    if capability == "AVX512" and has_mkl and amd_family(_description()) >= _ZEN_5:
        return "wider convolutions"
    return "avx512"


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
