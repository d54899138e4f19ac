"""φ(feature) ⊙ σ(gate) out of the two halves of one map, with no other map kept for the backward pass."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def gated_halves(y: Tensor, slope: float) -> Tensor:
    r"""φ(y[:, :C]) ⊙ σ(y[:, C:]), of which autograd would keep two maps of C channels more, φ's result and σ's.

    Differentiable, also twice. **Overwrites the first half of y** by φ's result: whatever made y must not need it.

    Args:
        y: (B, 2C, H, W).
        slope: φ is leaky ReLU of this slope, which is not negative; of slope 1 it is the identity.
    """
    result: Tensor = _GatedHalves.apply(y, slope)
    return result


class _GatedHalves(torch.autograd.Function):
    @staticmethod
    def forward(y: Tensor, slope: float) -> Tensor:
        feature, gate = y.chunk(2, dim=1)
        if slope != 1:
            F.leaky_relu_(feature, slope)
        return gate.sigmoid().mul_(feature)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        y, ctx.slope = inputs
        ctx.save_for_backward(y)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (y,), (gradient,) = ctx.saved_tensors, gradients
        if torch.is_grad_enabled():  # a gradient of the gradient is wanted
            return _differentiable(gradient, y, ctx.slope), None
        feature, gate = y.chunk(2, dim=1)
        of_y = torch.empty_like(y)
        of_feature, of_gate = of_y.chunk(2, dim=1)
        opened = gate.sigmoid()
        torch.mul(gradient, opened, out=of_feature)
        torch.mul(gradient, feature, out=of_gate)
        torch.ops.aten.sigmoid_backward.grad_input(of_gate, opened, grad_input=of_gate)
        if ctx.slope != 1:
            torch.ops.aten.leaky_relu_backward.grad_input(of_feature, feature, ctx.slope, True, grad_input=of_feature)
        return of_y, None


def _differentiable(gradient: Tensor, y: Tensor, slope: float) -> Tensor:
    """The backward pass by operations that autograd records.

    To autograd y is still what the convolution made, a, while its first half holds φ(a): so that is written as a
    constant with φ's derivative. It has the sign of a, or with slope 0 is 0 where the derivative is.
    """
    feature, gate = y.chunk(2, dim=1)
    rate = torch.where(feature.detach() > 0, 1.0, slope)
    feature = feature.detach() + rate * (feature - feature.detach())
    opened = gate.sigmoid()
    return torch.cat([gradient * opened * rate, gradient * feature * opened * (1 - opened)], dim=1)
