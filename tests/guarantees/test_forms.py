"""A network that was copied, stored, traced or compiled is still the same network."""

import copy
import inspect
import io
import pickle
from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.guarantees.draw import Draw, tensors
from tests.guarantees.registry import SUBJECTS

MODULES = [name for name, subject in SUBJECTS.items() if isinstance(subject.make(), nn.Module)]
NETWORKS = [name for name in MODULES if SUBJECTS[name].make().state_dict()]
PARAMETRIZED = {"spectral_norm", "SNPatchDiscriminator"}


def called(name: str, **changes: object) -> tuple[nn.Module, tuple]:
    subject = SUBJECTS[name]
    return subject.make(), subject.arguments(replace(Draw(size=subject.size), **changes).fresh())


def assert_same(found: object, expected: object, *, tolerance: float = 0.0) -> None:
    torch.testing.assert_close(tensors(found), tensors(expected), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", MODULES)
def test_copied_and_pickled(name: str) -> None:
    module, arguments = called(name)
    expected = module(*arguments)
    assert_same(copy.deepcopy(module)(*arguments), expected)
    if name in PARAMETRIZED:
        with pytest.raises(RuntimeError, match="only supported through state_dict"):
            pickle.dumps(module)
        return
    assert_same(pickle.loads(pickle.dumps(module))(*arguments), expected)


@pytest.mark.parametrize("name", NETWORKS)
def test_copied_after_a_step_of_training(name: str) -> None:
    """As an average of weights does, with a graph and moved buffers behind it."""
    module, arguments = called(name)
    module.train()
    tensors(arguments)[0].requires_grad_()
    sum(result.sum() for result in tensors(module(*arguments))).backward()
    assert_same(copy.deepcopy(module).eval()(*arguments), module.eval()(*arguments))


@pytest.mark.parametrize("name", NETWORKS)
def test_state_dict_goes_round_and_is_strict(name: str) -> None:
    module, arguments = called(name)
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    other = copy.deepcopy(module)
    with torch.no_grad():
        for tensor in other.state_dict().values():
            tensor.zero_()
    other.load_state_dict(state, strict=True)
    assert_same(other(*arguments), module(*arguments))

    first = next(iter(state))
    with pytest.raises(RuntimeError, match=f'Missing key.*"{first}"'):
        other.load_state_dict({key: value for key, value in state.items() if key != first})
    with pytest.raises(RuntimeError, match='Unexpected key.*"surplus"'):
        other.load_state_dict(state | {"surplus": torch.zeros(1)})
    with pytest.raises(RuntimeError, match=f"size mismatch for {first}"):
        other.load_state_dict(state | {first: torch.zeros(1, 1, 1, 1, 1)})


@pytest.mark.parametrize("name", NETWORKS)
def test_compiles_in_one_graph(name: str) -> None:
    module, arguments = called(name)
    torch._dynamo.reset()
    compiled = torch.compile(module, backend="aot_eager", fullgraph=True)
    with torch.no_grad():
        assert_same(compiled(*arguments), module(*arguments), tolerance=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_exports(name: str) -> None:
    module, arguments = called(name)
    with torch.no_grad():
        exported = torch.export.export(module, arguments, strict=False)
        assert_same(exported.module()(*arguments), module(*arguments), tolerance=1e-5)


@pytest.mark.parametrize(
    "name",
    ["GatedConv2d", *(pytest.param(n, marks=pytest.mark.slow) for n in ("InpaintGenerator", "DeepFillV2Generator"))],
)
def test_exports_for_every_size(name: str) -> None:
    module, arguments = called(name)
    sides = {2: torch.export.Dim("height", min=17), 3: torch.export.Dim("width", min=17)}
    _, traced = called(name, size=(48, 80))
    shapes = tuple({0: torch.export.Dim("batch"), **sides} for _ in traced)
    names = inspect.signature(module.forward).parameters
    with torch.no_grad():
        exported = torch.export.export(module, traced, dynamic_shapes=dict(zip(names, shapes, strict=True)))
        for batch, size in ((1, (37, 50)), (3, (17, 90))):
            _, arguments = called(name, batch=batch, size=size)
            assert_same(exported.module()(*arguments), module(*arguments), tolerance=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SPDResBlock", "SelfAttention2d"])
def test_compiles_to_machine_code(name: str) -> None:
    module, arguments = called(name)
    torch._dynamo.reset()
    with torch.no_grad():
        assert_same(torch.compile(module, fullgraph=True)(*arguments), module(*arguments), tolerance=1e-4)
