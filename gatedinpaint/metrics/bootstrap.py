"""How sure a mean is."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from gatedinpaint._checks import check_count, check_float

_AT_ONCE = 2**22  # drawn positions held in memory


class Interval(NamedTuple):
    """A mean over images, and between what its bootstrap interval of 95 % lies."""

    mean: float
    low: float
    high: float


def bootstrap_interval(
    values: Tensor, *, confidence: float = 0.95, resamples: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean.

    ``resamples`` times as many values are drawn with replacement as there are; the interval holds the middle share
    ``confidence`` of their means. For the difference of two methods on the same images pass the differences.

    Args:
        values: (N,), one per image.
        confidence: between 0 and 1.
        resamples: how often to draw.
        seed: of the draws; the same seed gives the same interval.

    Raises:
        TypeError: values that are no floating-point tensor.
        ValueError: no values, NaN among them, or a confidence outside (0, 1).

    Reference:
        Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.

    Example:
        >>> bootstrap_interval(torch.full((10,), 3.0))
        (3.0, 3.0)
    """
    check_float(values, name="values")
    check_count(resamples, name="resamples")
    if values.ndim != 1 or not len(values) or values.isnan().any():
        raise ValueError(f"values must be (N,) with N of 1 or more and no NaN; got {tuple(values.shape)}.")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1; got {confidence}.")
    generator = torch.Generator("cpu").manual_seed(seed)
    values = values.detach().to("cpu", torch.float64)
    rows = max(1, _AT_ONCE // len(values))
    means = torch.cat(
        [
            values[
                torch.randint(
                    len(values), (min(rows, resamples - first), len(values)), generator=generator, device="cpu"
                )
            ].mean(1)
            for first in range(0, resamples, rows)
        ]
    )
    tail = (1 - confidence) / 2
    # "lower" and "higher" never interpolate: a mean may be infinite.
    low = means.quantile(tail, interpolation="lower")
    high = means.quantile(1 - tail, interpolation="higher")
    return float(low), float(high)


def mean_interval(figures: Iterable[float]) -> Interval:
    """Mean and interval of the figures that are not NaN; three times NaN where there is none."""
    values = torch.tensor([value for value in figures if not math.isnan(value)], dtype=torch.float64, device="cpu")
    if not len(values):
        return Interval(math.nan, math.nan, math.nan)
    return Interval(float(values.mean()), *bootstrap_interval(values))
