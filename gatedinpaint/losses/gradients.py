"""Which loss reaches which module, and how strongly."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gatedinpaint._checks import check_mapping
from gatedinpaint.losses._precision import at_least_float32
from gatedinpaint.losses.weighting import check_terms, check_weights


@dataclass(frozen=True)
class GradientReport:
    """Gradient norms of losses, by term and module. ``str()`` gives a table.

    Example:
        >>> report = GradientReport({"l1": {"net": 3.0}, "style": {"net": 1.0}, "perceptual": {"net": None}})
        >>> report.share("l1", "net"), report.dead
        (0.75, ['perceptual'])
        >>> print(report)
        term        net
        l1          3.00e+00   75 %
        style       1.00e+00   25 %
        perceptual  no path
        Reaches no module: perceptual.
    """

    norms: Mapping[str, Mapping[str, float | None]]
    """Term → module → norm; ``None`` where no path of the graph leads from the term to the module."""

    def share(self, term: str, module: str) -> float:
        """The term's norm over the sum of all terms' norms in the module; 0 without a path."""
        total = sum(norms[module] or 0.0 for norms in self.norms.values())
        return (self.norms[term][module] or 0.0) / total if total else 0.0

    @property
    def dead(self) -> list[str]:
        """The terms that reach none of the modules: nothing learns from them."""
        return [term for term, norms in self.norms.items() if not any(norms.values())]

    def __str__(self) -> str:
        modules = list(next(iter(self.norms.values())))
        rows = [["term", *modules]]
        rows += [[term, *(self._cell(term, module) for module in modules)] for term in self.norms]
        widths = [max(len(row[column]) for row in rows) for column in range(len(modules) + 1)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join(lines + ([f"Reaches no module: {', '.join(self.dead)}."] if self.dead else []))

    def _cell(self, term: str, module: str) -> str:
        norm = self.norms[term][module]
        if norm is None:
            return "no path"
        return f"{norm:.2e}  {100 * self.share(term, module):3.0f} %" if norm else "zero"


def gradient_report(
    terms: Mapping[str, Tensor], modules: Mapping[str, nn.Module], *, weights: Mapping[str, float] | None = None
) -> GradientReport:
    r"""Norm of each loss's gradient in each module.

    .. math:: n_{t,m} = |w_t| \left\lVert \frac{\partial L_t}{\partial \theta_m} \right\rVert_2

    It exposes a loss that trains nothing: arguments swapped, so that what is detached is the output; a stray
    ``detach`` or ``no_grad``; an activation that is saturated; a weight of no consequence. Call it before
    ``backward()`` in a step that seems wrong, or every thousand steps. It costs a backward pass per term, leaves every
    ``.grad`` as it is and keeps the graph.

    Under ``torch.distributed`` the norms are those of this rank's own gradient. A term whose backward speaks to the
    other ranks, as that of ``info_nce_loss(gather=True)`` does, needs every rank to call the report.

    Args:
        terms: scalar losses by name, with their graph.
        modules: networks or parts of them, by name; parameters that do not require a gradient are left out.
        weights: a weight for each term; ``None`` is 1 for each.

    Returns:
        The norms, in float32 or wider.

    Raises:
        TypeError: terms, modules or weights without names; a term that is not a floating-point tensor, or a weight that
            is not a number.
        ValueError: no terms or modules, a term that is not a scalar, a module without a parameter that requires a
            gradient, or weights as :func:`weighted_sum` refuses them.

    Example:
        >>> net = nn.Linear(1, 1, bias=False)
        >>> output, target = net(torch.ones(1, 1)), torch.zeros(1, 1)
        >>> right, swapped = (output - target.detach()).square().mean(), (target - output.detach()).square().mean()
        >>> gradient_report({"right": right, "swapped": swapped}, {"net": net}).dead
        ['swapped']
    """
    check_terms(terms)
    if weights is not None:
        check_weights(weights, terms)
    check_mapping(modules, name="modules", example='{"generator": generator}')
    if not modules:
        raise ValueError("modules must hold at least one network; got none.")
    parameters = {name: [p for p in module.parameters() if p.requires_grad] for name, module in modules.items()}
    for name, own in parameters.items():
        if not own:
            raise ValueError(
                f'modules["{name}"] has no parameter that requires a gradient. '
                "Leave it out, or take the report before requires_grad_(False)."
            )
    flat = [parameter for own in parameters.values() for parameter in own]
    norms: dict[str, dict[str, float | None]] = {}
    for term, loss in terms.items():
        gradients = iter(
            torch.autograd.grad(loss, flat, retain_graph=True, allow_unused=True)
            if loss.requires_grad
            else [None] * len(flat)
        )
        weight = 1.0 if weights is None else abs(weights[term])
        norms[term] = {name: _norm([next(gradients) for _ in own], weight=weight) for name, own in parameters.items()}
    return GradientReport(norms)


def _norm(gradients: list[Tensor | None], *, weight: float) -> float | None:
    lengths = [torch.linalg.vector_norm(at_least_float32(gradient)) for gradient in gradients if gradient is not None]
    return weight * float(torch.linalg.vector_norm(torch.stack(lengths))) if lengths else None
