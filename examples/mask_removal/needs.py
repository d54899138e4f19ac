"""What a command needs besides the core, asked for before the imports that would end in a traceback."""

import sys
from importlib.util import find_spec

_PACKAGES = {"cv2": "mediapipe", "PIL": "pillow", "skimage": "scikit-image"}
"""Modules that a package of another name brings."""


def needs(extra: str, *modules: str) -> None:
    """End the program with one line and exit code 2 where one of the modules is not installed."""
    missing = [_PACKAGES.get(module, module) for module in modules if find_spec(module) is None]
    if missing:
        names = ", ".join(dict.fromkeys(missing))
        print(f'{names}: needed here and not installed. Fix: pip install ".[{extra}]"', file=sys.stderr)
        sys.exit(2)
