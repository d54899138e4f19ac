"""Any size, any batch, any memory layout, any finite value."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from tests.guarantees.draw import Draw, changed, tensors
from tests.guarantees.variants import EVERY

PER_SAMPLE = [name for name, subject in EVERY.items() if subject.per_sample]


def draw(name: str, **changes: object) -> Draw:
    return replace(Draw(size=EVERY[name].size), **changes).fresh()


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("extra", [(1, 0), (0, 3), (7, 5)], ids=str)
def test_odd_sizes(name: str, extra: tuple[int, int]) -> None:
    subject = EVERY[name]
    size = (subject.size[0] + extra[0], subject.size[1] + extra[1])
    arguments = subject.arguments(draw(name, size=size))
    if subject.multiple > 1:
        with pytest.raises(ValueError, match="even height and width" if subject.multiple == 2 else "multiples of"):
            subject.make()(*arguments)
        return
    assert all(result.isfinite().all() for result in tensors(subject.make()(*arguments)))


@pytest.mark.parametrize("name", EVERY)
def test_smallest_size(name: str) -> None:
    """One pixel, or the smallest legal size: finite; below it an error that names it."""
    subject = EVERY[name]
    side = max(subject.smallest, subject.multiple)
    function = subject.make()
    results = tensors(function(*subject.arguments(draw(name, size=(side, side)))))
    assert all(result.isfinite().all() for result in results)
    if subject.smallest > 1:
        with pytest.raises(ValueError, match=f"at least {side} pixels"):
            function(*subject.arguments(draw(name, size=(side, side - 1))))


@pytest.mark.parametrize("name", PER_SAMPLE)
def test_batch_is_its_samples(name: str) -> None:
    subject = EVERY[name]
    function, arguments = subject.make(), subject.arguments(draw(name, batch=3))
    together = tensors(function(*arguments))
    for index in range(3):
        alone = tensors(function(*changed(arguments, lambda t, index=index: t[index : index + 1])))
        for one, all_of_them in zip(alone, together, strict=True):
            torch.testing.assert_close(one, all_of_them[index : index + 1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [name for name in EVERY if name not in PER_SAMPLE])
def test_batch_of_one(name: str) -> None:
    subject = EVERY[name]
    arguments = subject.arguments(draw(name, batch=1))
    if subject.smallest_batch > 1:
        with pytest.raises(ValueError, match="got a batch of 1"):
            subject.make()(*arguments)
        return
    assert all(result.isfinite().all() for result in tensors(subject.make()(*arguments)))


def apart(tensor: Tensor) -> Tensor:
    """The same values, but not side by side in memory."""
    return torch.stack([tensor, torch.full_like(tensor, torch.nan)], dim=-1)[..., 0]


def channels_last(tensor: Tensor) -> Tensor:
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor


def turned(tensor: Tensor) -> Tensor:
    """Height and width the other way round in memory."""
    return tensor.mT.contiguous().mT if tensor.ndim > 1 else tensor


@pytest.mark.parametrize("layout", [apart, channels_last, turned])
@pytest.mark.parametrize("name", EVERY)
def test_memory_layout_changes_no_value(name: str, layout) -> None:  # type: ignore[no-untyped-def]
    subject = EVERY[name]
    function, arguments = subject.make(), subject.arguments(draw(name))
    for grad in (False, True):
        with torch.set_grad_enabled(grad):
            expected, found = function(*arguments), function(*changed(arguments, layout))
        torch.testing.assert_close(tensors(found), tensors(expected), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", EVERY)
def test_arguments_stay_as_they_were(name: str) -> None:
    subject = EVERY[name]
    arguments = subject.arguments(draw(name))
    before = changed(arguments, Tensor.clone)
    subject.make()(*arguments)
    assert all(torch.equal(now, then) for now, then in zip(tensors(arguments), tensors(before), strict=True))


@pytest.mark.parametrize("hole", [0.0, 1.0], ids=["no hole", "all hole"])
@pytest.mark.parametrize("scale", [0.0, 1.0], ids=["zeros", "values"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("name", EVERY)
def test_value_and_gradient_are_finite_at_the_limits(name: str, dtype: torch.dtype, scale: float, hole: float) -> None:
    """Nothing to fill or nothing known, and images of one colour: no division by zero, no root of zero."""
    subject = EVERY[name]
    function = subject.make()
    if isinstance(function, nn.Module) and not subject.always_float32:
        function.to(dtype)
    arguments = subject.arguments(draw(name, dtype=dtype, scale=scale, hole=hole))
    leaves = [leaf.requires_grad_() for leaf in tensors(arguments)]
    results = tensors(function(*arguments))
    limit = torch.isposinf if scale == 0 and subject.infinite else torch.isfinite
    assert all(limit(result).all() for result in results)
    sum(result.float().sum() for result in results if result.requires_grad).backward()
    for place in subject.receives_gradient:
        assert leaves[place].grad.isfinite().all()
