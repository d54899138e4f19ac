"""The gradient is the derivative, and half precision stays near double precision."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.guarantees.draw import Draw, changed, tensors, with_tensors
from tests.guarantees.subject import Subject
from tests.guarantees.variants import EVERY

DOUBLE = [name for name, subject in EVERY.items() if not subject.always_float32]


def in_double(subject: Subject) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    function = copy.deepcopy(subject.make())
    if isinstance(function, nn.Module):
        function.double()
    return function, subject.arguments(Draw(size=subject.size, dtype=torch.float64).fresh())


@pytest.mark.parametrize("name", DOUBLE)
def test_gradient_is_the_derivative(name: str) -> None:
    """Of every parameter and every argument that receives a gradient, along a random direction."""
    subject = EVERY[name]
    function, arguments = in_double(subject)
    module = function if isinstance(function, nn.Module) else None
    parameters = {} if module is None else {key: p for key, p in module.named_parameters() if p.requires_grad}
    leaves = tensors(arguments)
    variables = [leaves[place] for place in subject.receives_gradient] + list(parameters.values())

    def results(*values: Tensor) -> tuple[Tensor, ...]:
        replaced = list(leaves)
        for place, value in zip(subject.receives_gradient, values, strict=False):
            replaced[place] = value
        called = with_tensors(arguments, replaced)
        own = dict(zip(parameters, values[len(subject.receives_gradient) :], strict=True))
        output = function(*called) if module is None else torch.func.functional_call(module, own, called)
        return tuple(tensor for tensor in tensors(output) if tensor.requires_grad)

    def of_one_vector(flat: Tensor) -> tuple[Tensor, ...]:
        parts = flat.split([v.numel() for v in variables])
        return results(*(part.view_as(v) for part, v in zip(parts, variables, strict=True)))

    tolerances = {"fast_mode": True, "eps": 1e-6, "atol": 1e-8, "rtol": 1e-5}
    if len(variables) > 20:  # a whole network: all at once, or it takes minutes
        flat = torch.cat([v.detach().flatten() for v in variables]).requires_grad_()
        assert torch.autograd.gradcheck(of_one_vector, flat, **tolerances | {"eps": 1e-7, "rtol": 1e-4})
    else:
        separate = [v.detach().clone().requires_grad_() for v in variables]
        assert torch.autograd.gradcheck(results, separate, **tolerances)


@pytest.mark.parametrize("name", EVERY)
def test_gradient_reaches_everything_that_learns(name: str) -> None:
    subject = EVERY[name]
    function = subject.make()
    height, width = subject.size  # twice: attention to a single place has no gradient but rounding
    arguments = subject.arguments(Draw(size=(2 * height, 2 * width)).fresh())
    leaves = [leaf.requires_grad_() for leaf in tensors(arguments)]
    results = [result for result in tensors(function(*arguments)) if result.requires_grad]
    sum((result * torch.randn_like(result)).sum() for result in results).backward()
    reached = tuple(place for place, leaf in enumerate(leaves) if leaf.grad is not None and leaf.grad.abs().max() > 0)
    assert reached == subject.receives_gradient
    if isinstance(function, nn.Module):
        dead = [
            key
            for key, p in function.named_parameters()
            if p.requires_grad and not (p.grad is not None and p.grad.any())
        ]
        assert dead == []


@pytest.mark.parametrize(
    ("dtype", "tolerance", "autocast"),
    [
        (torch.float32, 2e-5, False),
        (torch.bfloat16, 2e-2, False),
        (torch.bfloat16, 2e-2, True),
        (torch.float16, 5e-3, False),
        (torch.float16, 5e-3, True),
    ],
    ids=["fp32", "bf16", "bf16-autocast", "fp16", "fp16-autocast"],
)
@pytest.mark.parametrize("name", DOUBLE)
def test_every_precision_is_near_double(name: str, dtype: torch.dtype, tolerance: float, autocast: bool) -> None:
    """As a share of the result's norm. Arguments and weights are rounded first: what is measured is the computation."""
    subject = EVERY[name]
    double, arguments = in_double(subject)
    arguments = changed(arguments, lambda tensor: tensor.to(dtype))
    rounded = copy.deepcopy(double)
    if isinstance(rounded, nn.Module):
        double.load_state_dict(rounded.to(dtype).state_dict())
        rounded.to(torch.float32 if autocast else dtype)
    with torch.no_grad():
        with torch.autocast("cpu", dtype=dtype, enabled=autocast):
            found = tensors(rounded(*changed(arguments, Tensor.float) if autocast else arguments))
        expected = tensors(double(*changed(arguments, Tensor.double)))
    for ours, true in zip(found, expected, strict=True):
        assert ours.isfinite().all()
        assert (ours - true).norm() <= tolerance * true.norm()
