"""Number formats of training: float32, autocast to bf16 or fp16, and O2.

======  =======================================  =====================  ============
        weights                                  forward pass           loss scaling
======  =======================================  =====================  ============
fp32    float32                                  float32                no
bf16    float32                                  autocast to bfloat16   no
fp16    float32                                  autocast to float16    dynamic
o2      float16, float32 in normalisation        autocast to float16    dynamic
======  =======================================  =====================  ============

O2 is the paper's: the optimizer works on float32 masters of the weights, and the network gets them rounded. Without
masters ("O3") small updates are lost in rounding and Adam divides by zero. The losses compute in float32 in all.

Reference:
    Micikevicius et al., "Mixed Precision Training", ICLR 2018. NVIDIA's apex, whose ``amp`` is gone,
    called it O2.
"""

from typing import Any, Literal

import torch
from torch import Tensor, nn

Precision = Literal["fp32", "bf16", "fp16", "o2"]

_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16, "o2": torch.float16}
_NORMALISATION = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """The context for the forward passes of the networks."""
    return torch.autocast(device.type, _AUTOCAST.get(precision), enabled=precision in _AUTOCAST)


def low_precision_(network: nn.Module) -> None:
    """Round the weights to float16 in place, but not those of normalisation layers, nor any buffer."""
    for module in network.modules():
        if not isinstance(module, _NORMALISATION):
            for parameter in module.parameters(recurse=False):
                parameter.data = parameter.data.half()


class NetworkOptimizer:
    """Adam on the float32 masters of one network, with its own loss scaler; a step that is not finite is skipped.

    The masters are the network's parameters themselves, unless it is in low precision. A gradient that is not finite
    after the ranks' gradients were averaged is so on all of them: all skip the same step.

    Args:
        network: already on its device. For ``"o2"`` its weights are rounded to float16 here, after the masters are
            taken.
        precision: one of the four above.
        learning_rate, betas: of Adam.
        clip_norm: longest gradient, over all parameters; 0 does not clip.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        precision: Precision,
        learning_rate: float,
        betas: tuple[float, float],
        clip_norm: float = 0.0,
    ) -> None:
        self.parameters: list[Tensor] = list(network.parameters())
        self.masters = self.parameters
        if precision == "o2":
            self.masters = [p.detach().to(torch.float32, copy=True).requires_grad_() for p in self.parameters]
            low_precision_(network)
        self.learning_rate = learning_rate
        self.clip_norm = clip_norm
        # Fused: one pass over weights, gradient and moments in place of a dozen.
        self.adam = torch.optim.Adam(self.masters, learning_rate, betas=betas, fused=True)
        device = self.parameters[0].device.type
        self.scaler = torch.amp.GradScaler(device, enabled=precision in ("fp16", "o2"))
        self.skipped = 0
        self.skipped_in_a_row = 0

    def set_rate(self, factor: float) -> None:
        """Learn at ``factor`` times the learning rate."""
        for group in self.adam.param_groups:
            group["lr"] = self.learning_rate * factor

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def backward(self, loss: Tensor) -> None:
        """Add the gradient of the loss, scaled, to the parameters'."""
        self.scaler.scale(loss).backward()

    def step(self) -> bool:
        """Take the step, or skip it when the gradient is not finite; returns whether it was taken."""
        if self.masters is not self.parameters:
            for master, parameter in zip(self.masters, self.parameters, strict=True):
                master.grad = None if parameter.grad is None else parameter.grad.float()
        self.scaler.unscale_(self.adam)
        norm = nn.utils.get_total_norm(master.grad for master in self.masters if master.grad is not None)
        if self.clip_norm:
            nn.utils.clip_grads_with_norm_(self.masters, self.clip_norm, norm)
        taken = bool(norm.isfinite())
        if taken:
            self.scaler.step(self.adam)
            self.skipped_in_a_row = 0
            if self.masters is not self.parameters:
                with torch.no_grad():
                    for master, parameter in zip(self.masters, self.parameters, strict=True):
                        parameter.copy_(master)
        else:
            self.skipped += 1
            self.skipped_in_a_row += 1
        self.scaler.update()
        return taken

    def state_dict(self) -> dict[str, Any]:
        """Adam, scaler, counts, and the masters: rounded weights do not tell what they were rounded from."""
        return {
            "adam": self.adam.state_dict(),
            "masters": [] if self.masters is self.parameters else [master.detach() for master in self.masters],
            "scaler": self.scaler.state_dict(),
            "skipped": [self.skipped, self.skipped_in_a_row],
        }

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of :meth:`state_dict`; the network has loaded its own weights before.

        A state of another precision serves too: its masters become the weights, or the weights the masters.
        """
        betas = self.adam.defaults["betas"]
        self.adam.load_state_dict(state["adam"])
        for group in self.adam.param_groups:  # a run that begins from another's checkpoint may have other settings
            group["betas"] = betas
        for master, value in zip(self.masters, state["masters"] or self.parameters, strict=True):
            master.copy_(value)
        if self.scaler.is_enabled() and state["scaler"]:
            self.scaler.load_state_dict(state["scaler"])
        self.skipped, self.skipped_in_a_row = state["skipped"]
