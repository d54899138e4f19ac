import platform
from pathlib import Path

import pytest
import torch

from gatedinpaint import _processor
from gatedinpaint._processor import amd_family, vectors

ZEN_5 = "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 26\nmodel\t\t: 2\n"
ZEN_4 = ZEN_5.replace("26", "25")
INTEL = "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 143\n"


def test_family() -> None:
    assert amd_family(ZEN_5) == 26
    assert amd_family("AMD64 Family 26 Model 68 Stepping 0, AuthenticAMD") == 26  # Windows
    assert amd_family(INTEL) == amd_family("Intel64 Family 26 Model 1, GenuineIntel") == amd_family("arm") == 0


@pytest.mark.parametrize(
    ("described", "capability", "mkl", "expected"),
    [
        (ZEN_5, "AVX512", True, "wider convolutions"),
        (ZEN_5, "AVX2", True, "avx2"),  # also by ATEN_CPU_CAPABILITY
        (ZEN_5, "AVX512", False, "avx512"),
        (ZEN_4, "AVX512", True, "avx512"),
        (INTEL, "AVX512", True, "avx512"),
        ("arm", "DEFAULT", False, "avx512"),
    ],
)
def test_vectors(
    described: str, capability: str, mkl: bool, expected: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "cpuinfo").write_text(described)
    monkeypatch.setattr(_processor, "_CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: mkl)
    assert vectors.__wrapped__() == expected


def test_where_there_is_no_proc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(_processor, "_CPUINFO", tmp_path / "missing")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: True)
    for name, expected in (("AMD64 Family 26 Model 68 Stepping 0, AuthenticAMD", "wider convolutions"), ("", "avx512")):
        monkeypatch.setattr(platform, "processor", lambda name=name: name)
        assert vectors.__wrapped__() == expected
