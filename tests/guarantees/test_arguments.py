"""Whatever one calls it with: a result without NaN, or one of the errors that the docstring names."""

import inspect
import re
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import gatedinpaint
from tests.guarantees.draw import Draw, tensors, with_tensors
from tests.guarantees.names import NAMES
from tests.guarantees.registry import SUBJECTS

PACKAGE = str(Path(gatedinpaint.__file__).parent)
# What is done to one of the tensors, now and then.
SPOIL: dict[str, Callable[[Tensor], Any]] = {
    "no batch": lambda t: t[0] if t.ndim else t,
    "one dimension more": lambda t: t[None],
    "one channel more": lambda t: torch.cat([t, t[:, :1]], dim=1) if t.ndim > 1 else t,
    "one row less": lambda t: t[..., 1:, :] if t.ndim > 1 else t,
    "one column less": lambda t: t[..., 1:] if t.ndim else t,
    "empty batch": lambda t: t[:0] if t.ndim else t,
    "empty": lambda t: t[..., :0] if t.ndim else t,
    "whole numbers": lambda t: t.long(),
    "yes and no": lambda t: t > 0,
    "NumPy": lambda t: t.detach().float().numpy(),
    "nothing": lambda t: None,
    "wider": lambda t: t.double(),
    "narrower": lambda t: t.half(),
}


def documented(value: Any) -> set[str]:
    """The errors under ``Raises:`` in the docstring, of a class's methods, and of the function that a module wraps."""
    texts = [value.__doc__]
    if inspect.isclass(value):
        texts += [member.__doc__ for member in vars(value).values() if callable(member) or hasattr(member, "__func__")]
    if twin := re.match(r"Module form of :func:`(\w+)`", value.__doc__):
        texts.append(NAMES[twin[1]].__doc__)
    sections = [part for text in texts for part in re.findall(r"Raises:\n(.*?)(?:\n\s*\n|\Z)", text or "", re.DOTALL)]
    return {error for section in sections for error in re.findall(r"^\s*(\w+Error):", section, re.MULTILINE)}


def ours(error: BaseException) -> bool:
    """Whether the package raised it on purpose, and not something that it called with bad arguments."""
    frames = traceback.extract_tb(error.__traceback__)
    return frames[-1].filename.startswith(PACKAGE) and (frames[-1].line or "").startswith("raise ")


def spoil(arguments: Any, how: str, place: int) -> Any:
    """One tensor among the arguments replaced by what it should not be."""
    leaves: list[Any] = tensors(arguments)
    leaves[place % len(leaves)] = SPOIL[how](leaves[place % len(leaves)])
    return with_tensors(arguments, leaves)


@st.composite
def calls(draw: st.DrawFn, name: str) -> tuple[dict[str, Any], Draw, tuple[str, int] | None]:
    subject = SUBJECTS[name]
    base = subject.smallest if subject.smallest > 1 else 1
    steps = (
        st.integers(1, 4).map(lambda n: n * subject.multiple) if subject.multiple > 1 else st.integers(base, base + 7)
    )
    side = st.one_of(steps, steps, steps, st.integers(1, base + 20))
    drawn = Draw(
        batch=draw(st.integers(1, 3)),
        size=(draw(side), draw(side)),
        dtype=draw(st.sampled_from([torch.float32, torch.float32, torch.float64])),
        scale=draw(st.sampled_from([0.0, 1e-8, 1.0, subject.largest])),
        hole=draw(st.sampled_from([0.0, 0.3, 1.0])),
        seed=draw(st.integers(0, 9)),
    )
    options = {key: draw(strategy) for key, strategy in subject.options.items() if draw(st.booleans())}
    spoiled = draw(st.none() | st.tuples(st.sampled_from(sorted(SPOIL)), st.integers(0, 5)))
    return options, drawn, spoiled


def mixed_types(error: Exception, spoiled: tuple[str, int] | None) -> bool:
    """Whether PyTorch refused an input that was made of another float type than the weights."""
    refusals = (
        r"Input type \(.+\) and (weight|bias) type \(.+\) should be the same|expected scalar type|have the same dtype"
    )
    changed = spoiled is not None and spoiled[0] in {"wider", "narrower"}
    return changed and type(error) is RuntimeError and re.search(refusals, str(error)) is not None


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * s.slow) for n, s in SUBJECTS.items()])
def test_no_surprise_whatever_the_arguments(name: str) -> None:
    outcomes: list[bool] = []

    @settings(max_examples=200, deadline=None, derandomize=True, database=None)
    @given(call=calls(name))
    def one(call: tuple[dict[str, Any], Draw, tuple[str, int] | None]) -> None:
        outcomes.append(gives_a_result(name, *call))

    one()
    assert outcomes.count(True) >= 20, f"{outcomes.count(True)} of {len(outcomes)} calls gave a result"


def gives_a_result(name: str, options: dict[str, Any], drawn: Draw, spoiled: tuple[str, int] | None) -> bool:
    """Call it; False for an error that is documented, and a failed test for any other."""
    subject = SUBJECTS[name]
    try:
        function = subject.make(**options)
        if isinstance(function, nn.Module) and not subject.always_float32:
            function.to(drawn.dtype)
        arguments = subject.arguments(drawn.fresh())
        if spoiled is not None and subject.spoilable:
            arguments = spoil(arguments, *spoiled)
        results = function(*arguments)
    except Exception as error:
        if mixed_types(error, spoiled):
            return False
        names = {kind.__name__ for kind in type(error).__mro__}
        assert ours(error), f"not raised by a check: {error!r}"
        assert names & documented(NAMES[name]), f"not under Raises: {error!r}"
        return False
    assert not any(result.isnan().any() for result in tensors(results))
    return True


def test_only_pytorchs_refusal_of_mixed_types_is_forgiven() -> None:
    refusal = RuntimeError("Input type (double) and bias type (float) should be the same")
    assert mixed_types(refusal, ("wider", 0))
    assert not mixed_types(refusal, None)
    assert not mixed_types(refusal, ("empty", 0))
    assert not mixed_types(RuntimeError("sizes should be the same"), ("wider", 0))
    assert not mixed_types(ValueError("expected scalar type float"), ("wider", 0))


def test_a_name_that_refuses_everything_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        gatedinpaint.dilate(arguments[0], -1)

    monkeypatch.setitem(SUBJECTS, "dilate", replace(SUBJECTS["dilate"], make=lambda **options: refuse))
    with pytest.raises(AssertionError, match="^0 of 200 calls gave a result"):
        test_no_surprise_whatever_the_arguments("dilate")
