"""Networks here are tiny: half precision is two orders of magnitude slower than float32 on most CPUs."""

import pytest
import torch
from torch import Tensor, nn

from examples.mask_removal.precision import NetworkOptimizer, Precision, autocast, low_precision_
from gatedinpaint import GatedConv2d, SNPatchDiscriminator

CPU = torch.device("cpu")
BETAS = (0.5, 0.999)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(GatedConv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.Conv2d(4, 3, 1))


def optimizer(net: nn.Module, precision: Precision, **options: float) -> NetworkOptimizer:
    return NetworkOptimizer(net, precision=precision, learning_rate=1e-3, betas=BETAS, **options)


def loss_of(net: nn.Module, precision: Precision, x: Tensor) -> Tensor:
    """Learn to halve a picture."""
    with autocast(precision, CPU):
        y = net(x)
    return (y.float() - x / 2).abs().mean()


def pictures(step: int) -> Tensor:
    return torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(step))


def train(precision: Precision, steps: int = 60) -> tuple[list[float], NetworkOptimizer, nn.Module]:
    net = network()
    learner = optimizer(net, precision)
    losses = []
    for step in range(steps):
        learner.zero_grad()
        loss = loss_of(net, precision, pictures(step))
        learner.backward(loss)
        learner.step()
        losses.append(loss.item())
    return losses, learner, net


def train_o3(steps: int = 60) -> list[float]:
    """What O2 avoids: Adam on float16 weights, without masters and without scaling."""
    net = network()
    low_precision_(net)
    adam = torch.optim.Adam(net.parameters(), 1e-3, betas=BETAS)
    losses = []
    for step in range(steps):
        adam.zero_grad()
        loss = loss_of(net, "o2", pictures(step))
        loss.backward()
        adam.step()
        losses.append(loss.item())
    return losses


def test_o2_follows_float32_where_float16_without_masters_ends_in_nan() -> None:
    exact, _, _ = train("fp32")
    o2, learner, _ = train("o2")
    assert exact[-1] < 0.6 * exact[0]
    assert learner.skipped == 0
    assert o2 == pytest.approx(exact, rel=0.02, abs=1e-3)
    assert torch.tensor(train_o3()).isnan().any()


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_autocast_follows_float32(precision: Precision) -> None:
    losses, _, net = train(precision)
    assert losses == pytest.approx(train("fp32")[0], rel=0.05, abs=5e-3)
    assert {p.dtype for p in net.parameters()} == {torch.float32}


def test_o2_rounds_weights_but_not_normalisation() -> None:
    net = nn.Sequential(network(), SNPatchDiscriminator(1))
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    buffers = {name: (b.dtype, b.clone()) for name, b in net.named_buffers()}
    learner = optimizer(net, "o2")
    for (name, parameter), master in zip(net.named_parameters(), learner.masters, strict=True):
        assert parameter.dtype == (torch.float32 if name.startswith("0.1.") else torch.float16), name
        assert master.dtype == torch.float32
        assert torch.equal(master, before[name])
    for name, buffer in net.named_buffers():  # of the spectral norm
        assert buffer.dtype == buffers[name][0] == torch.float32
        assert torch.equal(buffer, buffers[name][1])


def test_masters_keep_what_rounding_loses() -> None:
    net = nn.Linear(1, 1, bias=False)
    nn.init.ones_(net.weight)
    learner = NetworkOptimizer(net, precision="o2", learning_rate=1e-4, betas=BETAS)
    for _ in range(10):  # each step is 1e-4, a fifth of what float16 can tell from 1
        learner.zero_grad()
        learner.backward(net(torch.ones(1, 1, dtype=torch.float16)).float().sum() / 2)
        assert learner.step()
    assert learner.masters[0].item() == pytest.approx(1 - 10e-4, abs=1e-6)
    assert net.weight.item() == torch.tensor(1 - 10e-4).half().item()


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16", "o2"])
def test_a_step_that_is_not_finite_is_skipped_and_counted(precision: Precision) -> None:
    net = network()
    learner = optimizer(net, precision)
    before = [p.detach().clone() for p in net.parameters()]
    scale = learner.scaler.get_scale()
    for count in (1, 2):
        learner.zero_grad()
        learner.backward(loss_of(net, precision, torch.full((1, 3, 8, 8), float("nan"))))
        assert not learner.step()
        assert (learner.skipped, learner.skipped_in_a_row) == (count, count)
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))
    assert learner.scaler.get_scale() == (scale / 4 if precision in ("fp16", "o2") else 1)
    learner.zero_grad()
    learner.backward(loss_of(net, precision, pictures(0)))
    assert learner.step()
    assert (learner.skipped, learner.skipped_in_a_row) == (2, 0)
    assert not torch.equal(before[0], next(net.parameters()))


def test_an_overflow_of_the_scaled_gradient_alone_lowers_the_scale() -> None:
    net = nn.Linear(1, 1, bias=False)
    learner = optimizer(net, "fp16")
    learner.backward(net(torch.full((1, 1), 1e34)).sum())  # finite in float32, but not times 65,536
    assert not learner.step()
    assert learner.scaler.get_scale() == 2.0**15


@pytest.mark.parametrize("precision", ["fp32", "fp16", "o2"])
def test_long_gradients_are_cut_to_the_length_that_was_asked_for(precision: Precision) -> None:
    net = nn.Linear(2, 1, bias=False)
    learner = optimizer(net, precision, clip_norm=0.05)
    learner.backward(net(torch.tensor([[0.3, 0.4]], dtype=net.weight.dtype)).float().sum() / 2)  # (0.15, 0.2)
    assert learner.step()
    torch.testing.assert_close(learner.masters[0].grad, torch.tensor([[0.03, 0.04]]), rtol=1e-3, atol=0)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16", "o2"])
def test_state_goes_on_bit_for_bit(precision: Precision) -> None:
    whole, learner, _ = train(precision, 6)
    _, half_learner, half_net = train(precision, 3)
    state, weights = half_learner.state_dict(), half_net.state_dict()
    resumed_net = network()
    resumed = optimizer(resumed_net, precision)
    resumed_net.load_state_dict(weights)
    resumed.load_state_dict(state)
    losses = []
    for step in range(3, 6):
        resumed.zero_grad()
        loss = loss_of(resumed_net, precision, pictures(step))
        resumed.backward(loss)
        resumed.step()
        losses.append(loss.item())
    assert losses == whole[3:]
    for a, b in zip(learner.masters + learner.parameters, resumed.masters + resumed.parameters, strict=True):
        assert torch.equal(a, b)


def test_settings_are_those_of_the_run_and_not_of_the_checkpoint() -> None:
    learner = optimizer(network(), "fp32")
    other = NetworkOptimizer(network(), precision="fp32", learning_rate=1e-3, betas=(0.1, 0.2))
    other.load_state_dict(learner.state_dict())
    other.set_rate(0.5)
    assert [(group["betas"], group["lr"]) for group in other.adam.param_groups] == [((0.1, 0.2), 0.5e-3)]
