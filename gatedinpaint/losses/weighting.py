"""The one place where losses are weighed."""

import math
from collections.abc import Mapping
from numbers import Real

import torch
from torch import Tensor

from gatedinpaint._checks import check_float, check_mapping
from gatedinpaint.losses._precision import at_least_float32


def weighted_sum(terms: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    r"""The total loss from its named terms, every one with a weight of the same name.

    .. math:: L = \sum_t w_t L_t

    A term without a weight would silently not be trained, and a weight without a term would be a typing error that
    nobody sees: both are refused.

    Args:
        terms: scalar losses by name.
        weights: finite numbers by name. 0 leaves a term out, of the sum and of the gradient, even one that is NaN.

    Returns:
        A scalar. Float32 or wider. When all weights are 0, a zero without a graph.

    Raises:
        TypeError: terms or weights without names; a term that is not a floating-point tensor, or a weight that is not a
            number.
        ValueError: names that are only among the terms or only among the weights, no terms at all, a term that is not
            a scalar, or a weight that is not finite.

    Example:
        >>> weighted_sum({"style": torch.tensor(2.0), "hole": torch.tensor(0.5)}, {"style": 10.0, "hole": 6.0})
        tensor(23.)
    """
    check_terms(terms)
    check_weights(weights, terms)
    # Left out, not multiplied by 0: 0 · NaN is NaN, in the sum and in the gradient.
    weighed = [weights[name] * at_least_float32(term) for name, term in terms.items() if weights[name] != 0]
    return torch.stack(weighed).sum() if weighed else at_least_float32(next(iter(terms.values()))).new_zeros(())


def check_terms(terms: Mapping[str, Tensor]) -> None:
    """Raise unless there are terms and each is a scalar."""
    check_mapping(terms, name="terms", example='{"l1": loss}')
    if not terms:
        raise ValueError("terms must hold at least one loss; got none.")
    for name, term in terms.items():
        check_float(term, name=f'terms["{name}"]')
        if term.ndim > 0:
            raise ValueError(
                f'terms["{name}"] must be a scalar; got shape {tuple(term.shape)}. Reduce it with .mean() first.'
            )


def check_weights(weights: Mapping[str, float], terms: Mapping[str, Tensor]) -> None:
    """Raise unless the weights have the names of the terms and are finite numbers."""
    check_mapping(weights, name="weights", example='{"l1": 1.0}')
    if different := terms.keys() ^ weights.keys():
        raise ValueError(
            f"terms and weights must have the same names; only in one of them: {', '.join(sorted(different))}."
        )
    for name, weight in weights.items():
        if not isinstance(weight, Real):
            raise TypeError(f'weights["{name}"] must be a number; got {type(weight).__name__}.')
        if not math.isfinite(weight):
            raise ValueError(f'weights["{name}"] must be finite; got {weight}.')
