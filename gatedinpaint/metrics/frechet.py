"""Fréchet distance between the features of two sets of images."""

import warnings
from collections.abc import Callable

import torch
import torch.distributed as dist
from torch import Tensor

from gatedinpaint._checks import check_float, check_image
from gatedinpaint.metrics._extractors import distance_name, evaluated, features_of
from gatedinpaint.metrics._inputs import check_range
from gatedinpaint.metrics.feature_statistics import FeatureStatistics


def frechet_distance(first: FeatureStatistics, second: FeatureStatistics) -> float:
    r"""Squared Fréchet distance of two normal distributions with the mean and covariance of features.

    .. math:: d^2 = \lVert \mu_1 - \mu_2 \rVert^2
        + \operatorname{tr}\big(\Sigma_1 + \Sigma_2 - 2 (\Sigma_1 \Sigma_2)^{1/2}\big)

    The last trace is the sum of the square roots of the eigenvalues of :math:`\Sigma_1 \Sigma_2`. No square root of a
    matrix is computed. With :math:`\Sigma_1 = L L^\top` they are the eigenvalues of the symmetric
    :math:`L^\top \Sigma_2 L`; and while no more rows were seen than there are features, with
    :math:`\Sigma_i = F_i^\top F_i` of few rows, that sum is the nuclear norm of the small :math:`F_1 F_2^\top`. So it
    is where a covariance is singular to the precision of float64.

    Args:
        first: of at least 2 rows, with a warning for fewer rows than features: the value is then biased upwards, and
            only comparable with values of as many rows.
        second: likewise, of as many features.

    Returns:
        0 or more; symmetric in its arguments.

    Raises:
        ValueError: fewer than 2 rows, or different numbers of features.

    Reference:
        Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium", NeurIPS
        2017; Dowson and Landau, "The Fréchet Distance between Multivariate Normal Distributions", 1982.

    Example:
        >>> statistics = [FeatureStatistics(1), FeatureStatistics(1)]
        >>> statistics[0].update(torch.tensor([[0.0], [2.0]]))  # mean 1, variance 2
        >>> statistics[1].update(torch.tensor([[0.0], [4.0]]))  # mean 2, variance 8
        >>> round(frechet_distance(*statistics), 6)  # (2 − 1)² + (√8 − √2)²
        3.0
    """
    if first.dim != second.dim:
        raise ValueError(f"both statistics must have as many features; got {first.dim} and {second.dim}.")
    for statistics in (first, second):
        if statistics.count < 2:
            raise ValueError(f"a Fréchet distance needs 2 images or more on each side; got {statistics.count}.")
        if statistics.count < statistics.dim:
            warnings.warn(
                f"{statistics.count} images for {statistics.dim} features: the Fréchet distance is biased upwards, "
                "and only comparable with one of as many images.",
                stacklevel=2,
            )
    means = (first.mean - second.mean).square().sum()
    forms = [_form(statistics) for statistics in (first, second)]
    traces = sum(form.square().sum() if is_factor else form.trace() for form, is_factor in forms)
    distance = float(means + traces - 2 * _trace_of_root(*forms))
    return max(distance, 0.0)  # rounding, where the two are alike


class FrechetDistance:
    """Fréchet distance between real and generated images, over the features of any network.

    The number is named after the extractor, because it means nothing without it: only :class:`FID` is called FID.
    Under ``torch.distributed`` every rank brings its own images and gets the distance of all.

    Args:
        extractor: images (B, 3, H, W) in [−1, 1] → features (B, D) or (B, D, 1, 1). Its ``name``, or else the name of
            its class or function, becomes part of :attr:`name`. A module is put into evaluation mode.

    Raises:
        TypeError: images or features that are no floating-point tensors.
        ValueError: images that are not (B, 3, H, W) in [−1, 1]; features that are not (B, D); in :meth:`compute`, fewer
            than 2 images on either side.

    Reference:
        See :func:`frechet_distance`.

    Example:
        >>> def colour(image):
        ...     return image.mean((2, 3))
        >>> distance = FrechetDistance(colour)
        >>> images = torch.rand(8, 3, 4, 4, generator=torch.Generator().manual_seed(0))
        >>> _ = distance.update(images, real=True).update(images - 0.5, real=False)
        >>> distance.name, round(distance.compute(), 6)  # three means, each 0.5 apart
        ('Fréchet distance (colour)', 0.75)
    """

    def __init__(self, extractor: Callable[[Tensor], Tensor]) -> None:
        self.extractor = evaluated(extractor)
        self._statistics: dict[bool, FeatureStatistics | None] = {True: None, False: None}

    @property
    def name(self) -> str:
        """What to call the number."""
        return distance_name(self.extractor)

    @property
    def counts(self) -> tuple[int, int]:
        """Real and generated images of this rank."""
        real, generated = (0 if statistics is None else statistics.count for statistics in self._statistics.values())
        return real, generated

    def update(self, images: Tensor, *, real: bool) -> "FrechetDistance":
        """Take in images (B, 3, H, W) in [−1, 1]; returns itself."""
        check_image(images, name="images")
        check_range(images, -1.0, 1.0, name="images")
        return self.update_features(features_of(self.extractor, images), real=real)

    def update_features(self, features: Tensor, *, real: bool) -> "FrechetDistance":
        """Take in features (B, D) that the extractor gave already; returns itself."""
        statistics = self._statistics[real]
        if statistics is None:
            check_float(features, name="features")
            if features.ndim != 2 or not features.shape[1]:
                raise ValueError(f"features must be (B, D); got {tuple(features.shape)}.")
            statistics = FeatureStatistics(features.shape[1])
        statistics.update(features)
        self._statistics[real] = statistics  # now that they are taken in
        return self

    def compute(self) -> float:
        """The distance of everything so far, on all ranks."""
        real, generated = (of_all_ranks(statistics) for statistics in self._statistics.values())
        if real is None or generated is None:
            raise ValueError(
                "a Fréchet distance needs real and generated images. Call update(images, real=…) for both."
            )
        return frechet_distance(real, generated)

    def reset(self) -> None:
        """Forget all images."""
        self._statistics = {True: None, False: None}

    def __repr__(self) -> str:
        return f"<{self.name}: {self.counts[0]} real, {self.counts[1]} generated images>"


def _form(statistics: FeatureStatistics) -> tuple[Tensor, bool]:
    """F with FᵀF = Σ and True, where there are few rows; else Σ and False."""
    factor = statistics.factor()
    return (statistics.covariance, False) if factor is None else (factor, True)


def _trace_of_root(first: tuple[Tensor, bool], second: tuple[Tensor, bool]) -> Tensor:
    """tr (Σ₁Σ₂)^½, by the cheapest form that keeps its digits."""
    if not first[1] and not second[1]:
        lower, failed = torch.linalg.cholesky_ex(first[0])
        if not failed:
            values: Tensor = torch.linalg.eigvalsh(_sandwich(lower, second[0]), UPLO="L")
            if values[0] > len(values) * torch.finfo(values.dtype).eps * values[-1]:
                return values.sqrt().sum()
    # A singular covariance has eigenvalues of rounding, whose roots would count: singular values keep them small.
    factors = [form if is_factor else _root(form) for form, is_factor in (first, second)]
    singular: Tensor = torch.linalg.svdvals(factors[0] @ factors[1].T)
    return singular.sum()


def _sandwich(lower: Tensor, middle: Tensor, *, block: int = 256) -> Tensor:
    """The lower triangle of LᵀML for a lower triangular L and a symmetric M, in a quarter of the multiplications."""
    result = torch.zeros_like(middle)
    starts = range(0, len(middle), block)
    for first in starts:
        columns = slice(first, first + block)
        right = middle[first:, first:] @ lower[first:, columns]
        for line in starts[first // block :]:
            lines = slice(line, line + block)
            result[lines, columns] = lower[line:, lines].T @ right[line - first :]
    return result


def _root(covariance: Tensor) -> Tensor:
    """F with FᵀF = covariance, of as many rows as it has rank."""
    lower: Tensor
    lower, failed = torch.linalg.cholesky_ex(covariance)
    if not failed:
        return lower.T
    values, vectors = torch.linalg.eigh(covariance)
    kept = values > values[-1] * len(values) * torch.finfo(values.dtype).eps
    root: Tensor = values[kept].sqrt()[:, None] * vectors[:, kept].T
    return root


def of_all_ranks(own: FeatureStatistics | None) -> FeatureStatistics | None:
    """The statistics of all ranks together, merged in the order of the ranks."""
    if not (dist.is_available() and dist.is_initialized()):
        return own
    gathered: list[FeatureStatistics | None] = [None] * dist.get_world_size()
    dist.all_gather_object(gathered, own)
    total = None
    for statistics in gathered:
        if statistics is not None:
            total = total or FeatureStatistics(statistics.dim)
            total.merge(statistics)
    return total
