"""The public surface as text: one line per public name, with its signature.

Rewrite the committed snapshot after a change that is meant:

    python -m tests.contracts.public_surface > tests/contracts/public_surface.txt
"""

import importlib
import importlib.util
import inspect
from collections.abc import Iterator
from types import ModuleType

PARTS = ("layers", "models", "losses", "warp", "masks", "image", "faces", "metrics", "export")


def modules() -> Iterator[ModuleType]:
    yield importlib.import_module("gatedinpaint")
    for part in PARTS:
        if importlib.util.find_spec(f"gatedinpaint.{part}") is not None:
            yield importlib.import_module(f"gatedinpaint.{part}")


def public_names(module: ModuleType) -> list[str]:
    """What the module says is public; a module that says nothing has nothing public."""
    return list(getattr(module, "__all__", []))


def signature(function: object) -> str:
    """Names, kinds and defaults. Annotations print differently from one Python to the next; mypy looks after them."""
    found = inspect.signature(function)  # type: ignore[arg-type]
    parameters = []
    for parameter in found.parameters.values():
        default = parameter.default
        if inspect.isroutine(default):
            default = _Verbatim(default.__qualname__)
        elif " at 0x" in repr(default):  # an address, other in every run
            default = _Verbatim(type(default).__name__)
        parameters.append(parameter.replace(annotation=parameter.empty, default=default))
    return str(found.replace(parameters=parameters, return_annotation=found.empty))


class _Verbatim(str):
    def __repr__(self) -> str:
        return str(self)


def members(cls: type) -> Iterator[str]:
    """The methods and properties that ``cls`` itself defines, and what it inherits from inside this package."""
    inside = [base for base in cls.__mro__ if base.__module__.split(".")[0] == "gatedinpaint"]
    for name in sorted(
        {name for base in inside for name in vars(base) if not name.startswith("_") or name == "__call__"}
    ):
        member = inspect.getattr_static(cls, name)
        if isinstance(member, staticmethod | classmethod):
            yield f".{name}{signature(getattr(cls, name))}"
        elif inspect.isfunction(member):
            yield f".{name}{signature(member)}"
        elif isinstance(member, property):
            yield f".{name}"


def lines() -> Iterator[str]:
    for module in modules():
        for name in sorted(public_names(module)):
            value, path = getattr(module, name), f"{module.__name__}.{name}"
            if module.__name__ == "gatedinpaint" and (inspect.isclass(value) or inspect.isfunction(value)):
                yield path  # its signature stands with the module that it comes from
            elif inspect.isclass(value) and not issubclass(value, Exception):
                yield path + signature(value)
                yield from (path + member for member in members(value))
            elif inspect.isfunction(value):
                yield path + signature(value)
            else:
                yield path


if __name__ == "__main__":
    print("\n".join(lines()))
