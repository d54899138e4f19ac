"""Optional dependencies: imported where they are needed, with an error that says how to get them."""

import importlib
from types import ModuleType


def require(module: str, extra: str) -> ModuleType:
    """Import ``module``, or raise an :class:`ImportError` that names the pip command for its extra.

    >>> require("math", "faces").sqrt(4.0)
    2.0
    >>> require("no_such_module", "faces")
    Traceback (most recent call last):
    ...
    ImportError: no_such_module is needed here and is not installed. Fix: pip install "gatedinpaint[faces]"
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module.split(".")[0]:
            raise  # the module is there; something that it needs itself is not
        message = f'{module} is needed here and is not installed. Fix: pip install "gatedinpaint[{extra}]"'
        raise ImportError(message, name=module) from error
