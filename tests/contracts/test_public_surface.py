"""What a user can reach is written down, documented and shown working."""

import difflib
import inspect
from collections.abc import Callable
from dataclasses import is_dataclass
from pathlib import Path

import pytest

from tests.contracts.public_surface import lines, modules, public_names, signature

SNAPSHOT = Path(__file__).with_name("public_surface.txt")
REWRITE = "python -m tests.contracts.public_surface > tests/contracts/public_surface.txt"


def documented() -> dict[str, object]:
    """Public functions and classes; constants and type aliases carry no docstring of their own."""
    return {
        f"{module.__name__}.{name}": getattr(module, name)
        for module in modules()
        for name in public_names(module)
        if inspect.isfunction(getattr(module, name)) or inspect.isclass(getattr(module, name))
    }


def test_surface_equals_the_snapshot() -> None:
    difference = "\n".join(
        difflib.unified_diff(SNAPSHOT.read_text("utf-8").splitlines(), list(lines()), "snapshot", "now", n=0)
    )
    if difference:
        pytest.fail(
            f"The public surface changed:\n{difference}\nIf that is meant, say so in CHANGELOG.md and run\n  {REWRITE}"
        )


def test_every_public_module_names_its_names() -> None:
    assert [module.__name__ for module in modules() if not public_names(module)] == []


def test_every_public_name_exists() -> None:
    missing = [
        f"{module.__name__}.{name}"
        for module in modules()
        for name in public_names(module)
        if not hasattr(module, name)
    ]
    assert missing == []


def test_no_public_name_is_listed_twice() -> None:
    for module in modules():
        assert len(set(public_names(module))) == len(public_names(module)), module.__name__


@pytest.mark.parametrize("path", documented())
def test_public_name_is_documented_with_an_example(path: str) -> None:
    value = documented()[path]
    text = value.__doc__ or ""  # not inspect.getdoc: an inherited docstring speaks of something else
    assert text.strip(), f"{path} has no docstring"
    # An exception is shown by what raises it, a record by what returns it.
    if not (inspect.isclass(value) and (issubclass(value, Exception | tuple) or is_dataclass(value))):
        assert ">>> " in text, f"the docstring of {path} shows no example (>>>)"


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (lambda a, *, size=3: None, "(a, *, size=3)"),
        (lambda activation=abs: None, "(activation=abs)"),
        (lambda marker=object(): None, "(marker=object)"),  # noqa: B008
    ],
)
def test_signature_is_the_same_in_every_run(function: Callable[..., None], text: str) -> None:
    assert signature(function) == text
