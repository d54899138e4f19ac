"""Under the transforms of ``torch.func``, and without values, everything computes what it computes by itself."""

import copy

import pytest
import torch
from torch import Tensor, nn

from tests.guarantees.draw import Draw, changed, tensors, with_tensors
from tests.guarantees.registry import SUBJECTS
from tests.guarantees.test_forms import MODULES, NETWORKS, called

# Of PyTorch's own: for the operations that it maps one by one, and when it loads its rules for forward mode.
pytestmark = [
    pytest.mark.filterwarnings("ignore:There is a performance drop"),
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:FutureWarning"),
]

LOSSES = [name for name in SUBJECTS if name.endswith("_loss")]
ON_META = [*MODULES, *LOSSES, "composite", "dilate", "erode", "feather"]


@pytest.mark.parametrize("name", ON_META)
def test_without_values_shapes_and_types_are_the_same(name: str) -> None:
    subject = SUBJECTS[name]
    function, arguments = subject.make(), subject.arguments(Draw(size=subject.size).fresh())
    expected = tensors(function(*arguments))
    if isinstance(function, nn.Module):
        function = copy.deepcopy(function).to("meta")
    found = tensors(function(*changed(arguments, lambda tensor: tensor.to("meta"))))
    assert [(y.device.type, y.shape, y.dtype) for y in found] == [("meta", y.shape, y.dtype) for y in expected]


# Those lie channels_last inside, which PyTorch cannot map.
@pytest.mark.parametrize("name", [name for name in MODULES if name not in {"VGGFeatures", "LPIPS"}])
def test_mapped_over_several_calls(name: str) -> None:
    module, first = called(name)
    _, second = called(name, seed=1)

    def call(*leaves: Tensor) -> list[Tensor]:
        return tensors(module(*with_tensors(first, list(leaves))))

    pairs = zip(tensors(first), tensors(second), strict=True)
    mapped = torch.func.vmap(call)(*(torch.stack(pair) for pair in pairs))
    for place, arguments in enumerate((first, second)):
        torch.testing.assert_close(
            [results[place] for results in mapped], tensors(module(*arguments)), rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize("name", [name for name in NETWORKS if name not in {"VGGFeatures", "LPIPS"}])  # they are frozen
def test_gradient_by_function_is_that_of_backward(name: str) -> None:
    """In training, where spectral normalisation moves its vectors."""
    module, arguments = called(name)
    twin = copy.deepcopy(module.train())

    def loss(parameters: dict[str, Tensor]) -> Tensor:
        output = torch.func.functional_call(module, parameters, arguments)
        return torch.stack([result.square().mean() for result in tensors(output)]).sum()

    found = torch.func.grad(loss)({key: p.detach() for key, p in module.named_parameters()})
    torch.stack([result.square().mean() for result in tensors(twin(*arguments))]).sum().backward()
    torch.testing.assert_close(found, {key: p.grad for key, p in twin.named_parameters()}, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(dict(module.named_buffers()), dict(twin.named_buffers()))


@pytest.mark.parametrize("name", MODULES)
def test_derivative_in_forward_mode_is_that_of_backward(name: str) -> None:
    """Along one direction, of the sum of the results weighed at random."""
    module, arguments = called(name)
    leaves, places = tensors(arguments), SUBJECTS[name].receives_gradient
    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(y.shape, generator=generator) for y in tensors(module(*arguments))]

    def total(*inputs: Tensor) -> Tensor:
        chosen = dict(zip(places, inputs, strict=True))
        results = tensors(module(*with_tensors(arguments, [chosen.get(i, leaf) for i, leaf in enumerate(leaves)])))
        return torch.stack([(y * w).sum() for y, w in zip(results, weights, strict=True)]).sum()

    inputs = tuple(leaves[place] for place in places)
    direction = tuple(torch.randn(x.shape, generator=generator) for x in inputs)
    _, forward = torch.func.jvp(total, inputs, direction)
    gradients = torch.func.grad(total, argnums=tuple(range(len(inputs))))(*inputs)
    backward = torch.stack([(g * d).sum() for g, d in zip(gradients, direction, strict=True)]).sum()
    # In float64 comes what PyTorch multiplied by a number of Python's.
    torch.testing.assert_close(forward, backward, rtol=1e-3, atol=1e-3, check_dtype=False)
