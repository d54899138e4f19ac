import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from gatedinpaint import GatedConv2d, init_weights, minimal_filtering, spectral_norm
from gatedinpaint.layers.spectral_norm import SpectralNorm


def test_equals_torch_in_training_and_evaluation() -> None:
    torch.manual_seed(0)
    ours = nn.Conv2d(4, 6, 3)
    theirs = copy.deepcopy(ours)
    spectral_norm(ours)
    parametrizations.spectral_norm(theirs)
    theirs.load_state_dict(ours.state_dict(), strict=True)  # same names, same start
    x = torch.randn(2, 4, 8, 8)
    for _ in range(3):
        results, gradients = [], []
        for layer in (ours, theirs):
            result = layer(x)
            results.append(result)
            gradients.append(torch.autograd.grad(result.square().sum(), layer.parametrizations.weight.original)[0])
        torch.testing.assert_close(*results)
        torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))


def test_norm_is_one_from_the_start_and_before_training() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(30, 20)
    layer.weight.data.mul_(59)
    weight = spectral_norm(layer).eval().weight
    assert torch.linalg.matrix_norm(weight, ord=2).item() == pytest.approx(1.0, abs=0.05)


def test_a_zero_weight_gives_zeros_and_grows_again() -> None:
    torch.manual_seed(0)
    layer = spectral_norm(nn.Linear(5, 3))
    nn.init.zeros_(layer.parametrizations.weight.original)
    assert torch.equal(layer.weight, torch.zeros(3, 5))
    nn.init.eye_(layer.parametrizations.weight.original)
    for _ in range(20):
        weight = layer.weight
    assert torch.linalg.matrix_norm(weight, ord=2).item() == pytest.approx(1.0, abs=0.05)


def test_two_forward_passes_before_a_backward() -> None:
    layer = spectral_norm(nn.Linear(5, 3))
    (layer(torch.randn(2, 5)) + layer(torch.randn(2, 5))).sum().backward()
    assert layer.parametrizations.weight.original.grad.isfinite().all()


def test_copy_and_pickle() -> None:
    layer, x = spectral_norm(nn.Linear(5, 3)), torch.randn(2, 5)
    layer(x).sum().backward()
    twin = copy.deepcopy(layer)
    assert torch.equal(twin.eval()(x), layer.eval()(x))
    other = spectral_norm(nn.Linear(5, 3))
    other.load_state_dict(pickle.loads(pickle.dumps(layer.state_dict())), strict=True)
    assert torch.equal(other.eval()(x), layer(x))


def test_half_precision_weight_is_normalised_in_float32() -> None:
    layer = nn.Linear(64, 64)
    layer.weight.data.fill_(300.0)  # the matrix has norm 19,200; products of its entries overflow float16
    weight = spectral_norm(layer.half()).weight
    assert weight.dtype == torch.float16
    torch.testing.assert_close(weight, torch.full((64, 64), 1 / 64, dtype=torch.float16))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64], ids=str)
def test_a_network_of_another_type_still_turns_its_vectors_in_training(dtype: torch.dtype) -> None:
    """``.to(dtype)`` rounds u and v too, which the power iteration then has to write in that type."""
    torch.manual_seed(0)
    layer = spectral_norm(nn.Conv2d(4, 16, 3)).to(dtype)
    layer.parametrizations.weight.original.data.copy_(torch.randn(16, 4, 3, 3))  # not by assigning: u and v are wrong
    for _ in range(50):
        layer(torch.randn(1, 4, 3, 3, dtype=dtype)).sum().backward()
    assert layer.weight.dtype == dtype
    norm = torch.linalg.matrix_norm(layer.weight.detach().double().flatten(1), ord=2).item()
    assert norm == pytest.approx(1.0, abs=0.01)


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="weight of two or more dimensions; got ReLU"):
        spectral_norm(nn.ReLU())
    with pytest.raises(ValueError, match="iterations must be greater than 0; got 0"):
        spectral_norm(nn.Linear(2, 2), iterations=0)
    with pytest.raises(TypeError, match="iterations must be one whole number; got 1.5"):
        spectral_norm(nn.Linear(2, 2), iterations=1.5)


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        (nn.ConvTranspose1d, (2, 4, 8)),
        (nn.ConvTranspose2d, (2, 4, 8, 8)),
        (nn.ConvTranspose3d, (2, 4, 5, 5, 5)),
    ],
)
def test_transposed_convolutions_equal_torch(kind: type[nn.Module], shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    ours = kind(4, 6, 3)
    theirs = parametrizations.spectral_norm(copy.deepcopy(ours))
    spectral_norm(ours)
    theirs.load_state_dict(ours.state_dict(), strict=True)  # u has one element for each of the 6 output channels
    assert ours.parametrizations.weight[0]._u.shape == (6,)
    x = torch.randn(shape)
    for _ in range(30):
        torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))
    matrix = ours.weight.transpose(0, 1).flatten(1)
    assert torch.linalg.matrix_norm(matrix, ord=2).item() == pytest.approx(1.0, abs=0.05)


def test_the_norm_follows_a_weight_that_is_assigned_or_initialised() -> None:
    """Without it a stale u and v make σ arbitrary: a negative one multiplied the weight by 10¹²."""
    for seed in range(8):
        torch.manual_seed(seed)
        linear = spectral_norm(nn.Linear(64, 64)).eval()
        linear.weight = torch.randn(64, 64)
        layer = GatedConv2d(8, 8, 3, spectral_norm=True).eval()
        init_weights(layer)
        for weight in (linear.weight, layer.conv.weight.flatten(1)):
            assert torch.linalg.matrix_norm(weight, ord=2).item() == pytest.approx(1.0, abs=0.1)


def test_in_evaluation_the_vectors_stay() -> None:
    layer = spectral_norm(nn.Linear(5, 4)).eval()
    before = {name: buffer.clone() for name, buffer in layer.named_buffers()}
    original = layer.parametrizations.weight.original
    with torch.no_grad():
        original.copy_(torch.randn(4, 5))  # not by assigning the weight, which would turn them
    u, v = before.values()
    torch.testing.assert_close(layer.weight, original / (u @ original @ v))
    assert all(torch.equal(buffer, before[name]) for name, buffer in layer.named_buffers())
    layer.train()(torch.randn(1, 5))
    assert not any(torch.equal(buffer, before[name]) for name, buffer in layer.named_buffers())


@pytest.mark.parametrize("options", [{}, {"padding_mode": "replicate"}], ids=str)
@pytest.mark.parametrize("mode", ["never", "always"])
def test_one_power_iteration_for_each_forward_pass(options: dict, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = GatedConv2d(8, 8, 3, spectral_norm=True, **options)
    counts: list[int] = []
    monkeypatch.setattr(SpectralNorm, "_iterate", lambda _self, _matrix, iterations: counts.append(iterations))
    with minimal_filtering(mode):
        layer(torch.randn(1, 8, 8, 8))
    assert counts == [1]
