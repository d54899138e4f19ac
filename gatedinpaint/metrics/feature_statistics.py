"""Mean and covariance of features, gathered batch by batch."""

import math

import torch
from torch import Tensor

from gatedinpaint._checks import check_count, check_float

# Products of fewer rows than this run at a lower rate.
_MOST_ROWS = 2048
_BLOCK = 256


class FeatureStatistics:
    r"""Count, mean and covariance of feature rows that come batch by batch; their memory does not grow with the rows.

    .. math:: \mu = \frac1N \sum_i x_i, \qquad \Sigma = \frac{1}{N - 1} \sum_i (x_i - \mu)(x_i - \mu)^\top

    Everything is computed in float64 on the CPU. Rows are kept as they are, up to 2,048 of them, or ``dim`` where that
    is more. When there are more, they are folded into one mean and one scatter matrix by the pairwise update, which
    centres every block on its own mean: no sum of squares is ever subtracted from another. So at most
    max(dim, 2048) · dim numbers and a few matrices of dim² are held.

    Args:
        dim: features in a row.

    Raises:
        TypeError: ``dim`` is no whole number; rows that are no floating-point tensor.
        ValueError: ``dim`` under 1; rows that are not (N, dim), or not finite; a mean or covariance of fewer rows than
            they need (1 and 2).

    Reference:
        Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances", 1979.

    Example:
        >>> statistics = FeatureStatistics(2)
        >>> statistics.update(torch.tensor([[1.0, 0.0], [3.0, 0.0]]))
        >>> statistics.update(torch.tensor([[2.0, 6.0]]))
        >>> statistics.count, statistics.mean.tolist(), statistics.covariance.tolist()
        (3, [2.0, 2.0], [[1.0, 0.0], [0.0, 12.0]])
    """

    def __init__(self, dim: int) -> None:
        check_count(dim, name="dim")
        self.dim = int(dim)
        self._most_rows = max(self.dim, _MOST_ROWS)
        self._rows: list[Tensor] = []
        self._folded_count = 0
        self._folded_mean = torch.zeros(0)
        self._folded_scatter = torch.zeros(0)

    @classmethod
    def from_moments(cls, mean: Tensor, covariance: Tensor, *, count: int) -> "FeatureStatistics":
        """Statistics that were computed elsewhere, such as ``mu`` and ``sigma`` of pytorch-fid's ``.npz`` files.

        Args:
            mean: (D,).
            covariance: (D, D), with N − 1 in the denominator.
            count: N, the rows behind them.

        Raises:
            ValueError: other shapes, a covariance that is not symmetric, or fewer than 2 rows.
        """
        check_float(mean, name="mean")
        check_float(covariance, name="covariance")
        if mean.ndim != 1 or tuple(covariance.shape) != (len(mean), len(mean)):
            raise ValueError(
                f"mean and covariance must be (D,) and (D, D); got {tuple(mean.shape)} and {tuple(covariance.shape)}."
            )
        if count < 2:
            raise ValueError(f"count must be 2 or more rows; got {count}.")
        mean, covariance = (x.detach().to("cpu", torch.float64, copy=True) for x in (mean, covariance))
        if not (covariance - covariance.T).abs().max() <= 1e-6 * covariance.abs().max():
            raise ValueError(
                "covariance must be symmetric and finite; it is not. Pass (covariance + covariance.T) / 2."
            )
        statistics = cls(len(mean))
        statistics._folded_count, statistics._folded_mean = int(count), mean
        statistics._folded_scatter = (covariance + covariance.T) * ((count - 1) / 2)
        return statistics

    @property
    def count(self) -> int:
        """N, the rows seen."""
        return self._folded_count + sum(map(len, self._rows))

    @property
    def mean(self) -> Tensor:
        """(dim,) in float64."""
        if self.count < 1:
            raise ValueError("a mean needs 1 row or more; got none. Call update first.")
        total = (
            self._folded_mean * self._folded_count
            if self._folded_count
            else torch.zeros(self.dim, dtype=torch.float64, device="cpu")
        )
        for rows in self._rows:
            total = total + rows.sum(dim=0, dtype=torch.float64)
        return total / self.count

    @property
    def covariance(self) -> Tensor:
        """(dim, dim) in float64, with N − 1 in the denominator."""
        if self.count < 2:
            raise ValueError(f"a covariance needs 2 rows or more; got {self.count}.")
        return self._moments()[2] / (self.count - 1)

    def update(self, features: Tensor) -> None:
        """Take in rows (N, dim)."""
        check_float(features, name="features")
        if features.ndim != 2 or features.shape[1] != self.dim:
            raise ValueError(f"features must be (N, dim) = (N, {self.dim}); got {tuple(features.shape)}.")
        features = features.detach().cpu()
        check_finite(features)
        for block in torch.split(features, self._most_rows + 1):
            self._rows.append(block.clone())
            if self.count - self._folded_count > self._most_rows:
                self._folded_count, self._folded_mean, self._folded_scatter = self._moments()
                self._rows = []

    def merge(self, other: "FeatureStatistics") -> None:
        """Take in all rows of ``other``, as if they had come here."""
        if other.dim != self.dim:
            raise ValueError(f"other must have rows of {self.dim} features; got {other.dim}.")
        if other._folded_count:
            mine = self._folded_count, self._folded_mean, self._folded_scatter
            theirs = other._folded_count, other._folded_mean, other._folded_scatter
            self._folded_count, self._folded_mean, self._folded_scatter = _joined(mine, theirs)
        for rows in list(other._rows):
            self.update(rows)

    def factor(self) -> Tensor | None:
        """F with FᵀF = covariance, (N, dim), as long as no more than ``dim`` rows were seen; else ``None``."""
        if self._folded_count or not 2 <= self.count <= self.dim:
            return None
        rows = torch.cat(self._rows).double()
        return (rows - rows.mean(dim=0)) / math.sqrt(len(rows) - 1)

    def __repr__(self) -> str:
        return f"FeatureStatistics(dim={self.dim}, count={self.count})"

    def _moments(self) -> tuple[int, Tensor, Tensor]:
        """Count, mean and scatter of everything."""
        folded = self._folded_count, self._folded_mean, self._folded_scatter
        if not self._rows:
            return folded
        # Turned in the type of the rows, which PyTorch does by blocks, and then widened: both at once is slower.
        columns = torch.cat(self._rows).T.contiguous().to(torch.float64, copy=True)
        mean = columns.mean(dim=1)
        return _joined(folded, (columns.shape[1], mean, _scatter(columns.sub_(mean[:, None]))))


def _scatter(columns: Tensor) -> Tensor:
    """columns · columnsᵀ, of which a little more than half is computed: it is symmetric."""
    result = columns.new_empty(len(columns), len(columns))
    for first in range(0, len(columns), _BLOCK):
        here, below = slice(first, first + _BLOCK), slice(first + _BLOCK, None)
        torch.mm(columns[first:], columns[here].T, out=result[first:, here])
        result[here, below] = result[below, here].T
    return result


def _joined(first: tuple[int, Tensor, Tensor], second: tuple[int, Tensor, Tensor]) -> tuple[int, Tensor, Tensor]:
    """Count, mean and scatter of two sets of rows together."""
    if not first[0]:
        return second[0], second[1].clone(), second[2].clone()
    count = first[0] + second[0]
    apart = second[1] - first[1]
    scatter = (first[2] + second[2]).addr_(apart, apart, alpha=first[0] * second[0] / count)
    return count, first[1] + apart * (second[0] / count), scatter


def check_finite(features: Tensor) -> None:
    """Raise where features hold NaN or infinity."""
    # The sum is quicker to look at, and finite only where all of them are.
    if not features.sum().isfinite() and not features.isfinite().all():
        raise ValueError("features must be finite; got NaN or infinity. Look at the images they came from.")
