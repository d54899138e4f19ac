"""What the guarantees need to know of a public name."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from tests.guarantees.draw import Draw

Options = dict[str, st.SearchStrategy[Any]]


@dataclass(frozen=True)
class Subject:
    make: Callable[..., Callable[..., Any]]
    """Options of the public name → a module or a function."""
    arguments: Callable[[Draw], tuple[Any, ...]]
    size: tuple[int, int] = (8, 8)
    """Of the ordinary tests."""
    multiple: int = 1
    """Height and width must be multiples; others raise a ValueError that says so."""
    smallest: int = 1
    """Smaller sizes raise a ValueError that says so."""
    smallest_batch: int = 1
    receives_gradient: tuple[int, ...] = (0,)
    """Which of the argument's tensors, counted flat, are differentiated; the others are documented to get none."""
    per_sample: bool = True
    """What comes out for a sample does not depend on the rest of the batch."""
    largest: float = 100.0
    """Of the values with which it is called: a network's input is an image, and lies in [-1, 1]."""
    options: Options = field(default_factory=dict)
    """Options to draw from, bad ones among them."""
    always_float32: bool = False
    """Documented to compute in float32 even for float64."""
    spoilable: bool = True
    """Its own checks meet the arguments; elsewhere PyTorch's do."""
    infinite: bool = False
    """Documented to give infinity for some finite input."""
    slow: bool = False
    """200 calls take longer than five seconds."""
