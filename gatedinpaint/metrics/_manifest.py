"""What one needs to measure again: command, machine, versions."""

import importlib.metadata
import platform
import sys
from typing import Any

_PACKAGES = ("gatedinpaint", "torch", "torchvision", "numpy", "lpips", "pytorch-fid")


def manifest() -> dict[str, Any]:
    """Of this process."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "command": " ".join(getattr(sys, "orig_argv", sys.argv)[1:]),
        "python": platform.python_version(),
        "system": platform.platform(),
        "versions": versions,
    }
