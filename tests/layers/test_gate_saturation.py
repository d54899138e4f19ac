import pytest
import torch
from torch import nn

from gatedinpaint import GatedConv2d, gate_saturation


def with_gates(*values: float, gate: str = "full") -> GatedConv2d:
    """A layer whose gates are these numbers, whatever x."""
    layer = GatedConv2d(1, len(values), 1, gate=gate)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        bias = layer.conv.bias[len(values) :] if gate == "full" else layer.gate_conv.bias
        bias.copy_(torch.tensor(values[: bias.numel()]))
    return layer


X = torch.zeros(1, 1, 2, 2)


def test_counts_both_ends() -> None:
    with pytest.warns(UserWarning, match="none of the 1 gated"), gate_saturation(with_gates(10.0, -12.0)) as shares:
        pass_through = with_gates(99.0)  # another layer, which is not watched
        pass_through(X)
    assert shares == {}
    layer = with_gates(10.0, 9.9, -9.9, -12.0)
    with gate_saturation(layer) as shares:
        layer(X)
    assert shares == {"": 0.5}


def test_names_light_gates_threshold_and_several_passes() -> None:
    network = nn.Sequential(with_gates(5.0, gate="single_channel"), with_gates(4.0))
    with gate_saturation(network, threshold=5.0) as shares:
        network(X)
        network[1].conv.bias.data.fill_(-7.0)
        network(X.expand(3, -1, -1, -1))  # three images against one
    assert shares == {"0": 1.0, "1": 0.75}


def test_at_the_threshold_the_gradient_of_half_precision_is_zero() -> None:
    gate = torch.tensor(10.0, dtype=torch.float16, requires_grad=True)
    gate.sigmoid().backward()
    assert gate.grad == 0


def test_leaves_no_hook_behind_even_after_an_error() -> None:
    layer = with_gates(1.0)
    with pytest.raises(RuntimeError, match="stop"), gate_saturation(layer) as shares:
        layer(X)
        raise RuntimeError("stop")
    assert shares == {"": 0.0}
    layer(X)
    assert not layer.sigmoid._forward_hooks


def test_bad_threshold() -> None:
    with pytest.raises(ValueError, match="threshold must be greater than 0; got 0"), gate_saturation(X, threshold=0):
        pass


def test_a_network_that_was_compiled_before_is_not_seen_and_says_so() -> None:
    network = nn.Sequential(with_gates(10.0, 0.0))
    compiled = torch.compile(network, backend="eager")
    compiled(X)
    with pytest.warns(UserWarning, match="call the uncompiled one"), gate_saturation(compiled) as shares:
        compiled(X)
    assert shares == {}
    with gate_saturation(network) as shares:
        network(X)
    assert shares == {"0": 0.5}
