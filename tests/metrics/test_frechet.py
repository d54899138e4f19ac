"""Fréchet distance and its statistics against SciPy's matrix square root and NumPy's covariance."""

import warnings

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gatedinpaint.metrics import FeatureStatistics, FrechetDistance, feature_statistics, frechet_distance


def rows(count: int, dim: int, seed: int, *, shift: float = 0.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(dim, dim, generator=generator, dtype=torch.float64) / dim**0.5
    return torch.randn(count, dim, generator=generator, dtype=torch.float64) @ mixing + shift


def of(*batches: Tensor) -> FeatureStatistics:
    statistics = FeatureStatistics(batches[0].shape[1])
    for batch in batches:
        statistics.update(batch)
    return statistics


def scipys(first: Tensor, second: Tensor) -> float:
    """The formula as it is written, in the form that pytorch-fid computes it."""
    (m1, s1), (m2, s2) = ((x.numpy().mean(0), np.cov(x.numpy(), rowvar=False)) for x in (first, second))
    root = scipy.linalg.sqrtm(s1 @ s2)
    return float((m1 - m2) @ (m1 - m2) + np.trace(s1) + np.trace(s2) - 2 * np.trace(root.real))


def quietly(first: FeatureStatistics, second: FeatureStatistics) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return frechet_distance(first, second)


# Many rows on both sides, few on one, few on both: three ways to the same number.
@pytest.mark.parametrize(("n1", "n2"), [(300, 400), (40, 400), (400, 40), (40, 30), (64, 65), (2, 3)])
def test_equals_scipys_matrix_square_root(n1: int, n2: int) -> None:
    first, second = rows(n1, 64, 0), rows(n2, 64, 1, shift=0.1)
    expected = scipys(first, second)
    assert expected > 1
    assert quietly(of(first), of(second)) == pytest.approx(expected, rel=1e-6)
    assert quietly(of(second), of(first)) == pytest.approx(expected, rel=1e-6)


def test_more_than_one_block_of_the_triangular_product() -> None:
    first, second = rows(700, 600, 0), rows(800, 600, 1)
    assert frechet_distance(of(first), of(second)) == pytest.approx(scipys(first, second), rel=1e-6)


def test_by_hand_where_covariances_commute() -> None:
    # Diagonal: the distance is Σ (μ₁ − μ₂)² + (σ₁ − σ₂)² = 1 + 4 + (3 − 1)² + (2 − 5)².
    first = FeatureStatistics.from_moments(torch.zeros(2), torch.diag(torch.tensor([9.0, 4.0])), count=10)
    second = FeatureStatistics.from_moments(torch.tensor([1.0, 2.0]), torch.diag(torch.tensor([1.0, 25.0])), count=10)
    assert frechet_distance(first, second) == pytest.approx(18.0, rel=1e-12)


def test_singular_covariances_given_as_moments() -> None:
    first, second = rows(20, 64, 0), rows(30, 64, 1)
    given_ = [FeatureStatistics.from_moments(x.mean(0), torch.cov(x.T), count=len(x)) for x in (first, second)]
    assert quietly(*given_) == pytest.approx(scipys(first, second), rel=1e-6)


def test_a_regular_and_a_singular_covariance_given_as_moments() -> None:
    first, second = rows(200, 64, 0), rows(30, 64, 1)
    given_ = [FeatureStatistics.from_moments(x.mean(0), torch.cov(x.T), count=len(x)) for x in (first, second)]
    for one, other in (given_, given_[::-1]):
        assert quietly(one, other) == pytest.approx(scipys(first, second), rel=1e-6)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**31), n1=st.integers(2, 30), n2=st.integers(2, 30), scale=st.sampled_from([1e-6, 1, 1e4]))
def test_never_negative_zero_for_itself_and_scales_as_a_square(seed: int, n1: int, n2: int, scale: float) -> None:
    first, second = rows(n1, 12, seed), rows(n2, 12, seed + 1)
    value = quietly(of(first), of(second))
    assert value >= 0
    assert 0 <= quietly(of(first), of(first)) < 1e-10 * float(first.square().sum())
    assert quietly(of(first * scale), of(second * scale)) == pytest.approx(scale**2 * value, rel=1e-6)


def test_few_images() -> None:
    with pytest.raises(ValueError, match="needs 2 images or more on each side; got 1"):
        frechet_distance(of(rows(1, 4, 0)), of(rows(9, 4, 1)))
    with pytest.warns(UserWarning, match="3 images for 4 features: the Fréchet distance is biased upwards"):
        frechet_distance(of(rows(3, 4, 0)), of(rows(9, 4, 1)))
    frechet_distance(of(rows(4, 4, 0)), of(rows(9, 4, 1)))  # as many as features: no warning
    with pytest.raises(ValueError, match="as many features; got 4 and 5"):
        frechet_distance(of(rows(9, 4, 0)), of(rows(9, 5, 1)))


@pytest.fixture(params=[2048, 4])
def most_rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without folding, and with it after every few rows."""
    monkeypatch.setattr(feature_statistics, "_MOST_ROWS", request.param)


@pytest.mark.usefixtures("most_rows")
@pytest.mark.parametrize("batches", [[30], [1] * 30, [7, 23], [3, 5, 9, 13]])
def test_moments_are_numpys_however_they_come(batches: list[int]) -> None:
    features = rows(30, 6, 0, shift=1e6)  # a large mean: sums of squares would lose the variance
    statistics = of(*features.split(batches))
    assert statistics.count == 30
    np.testing.assert_allclose(statistics.mean, features.numpy().mean(0), rtol=1e-14)
    np.testing.assert_allclose(statistics.covariance, np.cov(features.numpy(), rowvar=False), rtol=0, atol=1e-8)


def test_rows_in_float32_are_added_in_float64() -> None:
    features = rows(2000, 6, 0, shift=1e4).float()
    np.testing.assert_allclose(of(features).mean, features.double().numpy().mean(0), rtol=1e-13)


@pytest.mark.usefixtures("most_rows")
@pytest.mark.parametrize("split", [1, 4, 15, 29])  # rows and folded, both folded, folded and rows
def test_merged_parts_are_the_whole(split: int) -> None:
    features = rows(30, 6, 0)
    merged = of(features[:split])
    merged.merge(of(features[split:]))
    assert merged.count == 30
    torch.testing.assert_close(merged.mean, features.mean(0), rtol=0, atol=1e-12)
    torch.testing.assert_close(merged.covariance, torch.cov(features.T), rtol=0, atol=1e-12)


def test_blocks_of_the_scatter_matrix() -> None:
    features = rows(2500, 300, 0)  # more rows than are kept, and more features than a block has
    torch.testing.assert_close(of(*features.split(64)).covariance, torch.cov(features.T), rtol=0, atol=1e-11)


def test_reading_the_moments_changes_nothing() -> None:
    features = rows(30, 6, 0)
    statistics = of(features[:10])
    before = statistics.covariance.clone()
    assert torch.equal(statistics.covariance, before)
    statistics.update(features[10:])
    torch.testing.assert_close(statistics.covariance, torch.cov(features.T), rtol=0, atol=1e-12)


def test_memory_does_not_grow_with_the_rows() -> None:
    def held(batches: int) -> int:
        statistics = FeatureStatistics(16)
        for seed in range(batches):
            statistics.update(rows(16, 16, seed))
        tensors = [*statistics._rows, statistics._folded_mean, statistics._folded_scatter]
        return sum(tensor.numel() for tensor in tensors)

    assert held(400) <= held(128) == 2048 * 16


def test_the_caller_may_reuse_its_buffer() -> None:
    features = rows(5, 6, 0)
    statistics = of(features)
    before = statistics.mean.clone()
    features.zero_()
    assert torch.equal(statistics.mean, before)


def test_bad_features_and_moments() -> None:
    statistics = FeatureStatistics(3)
    with pytest.raises(ValueError, match=r"\(N, dim\) = \(N, 3\); got \(2, 4\)"):
        statistics.update(torch.zeros(2, 4))
    with pytest.raises(ValueError, match="must be finite"):
        statistics.update(torch.full((2, 3), torch.nan))
    with pytest.raises(TypeError, match="floating-point"):
        statistics.update(torch.zeros(2, 3, dtype=torch.int64))
    assert statistics.count == 0
    with pytest.raises(ValueError, match="a mean needs 1 row or more"):
        _ = statistics.mean
    with pytest.raises(ValueError, match="a covariance needs 2 rows or more; got 0"):
        _ = statistics.covariance
    with pytest.raises(ValueError, match="rows of 3 features; got 4"):
        statistics.merge(FeatureStatistics(4))
    with pytest.raises(ValueError, match="must be symmetric"):
        FeatureStatistics.from_moments(torch.zeros(2), torch.tensor([[1.0, 1.0], [0.0, 1.0]]), count=9)
    with pytest.raises(ValueError, match="count must be 2 or more"):
        FeatureStatistics.from_moments(torch.zeros(2), torch.eye(2), count=1)
    with pytest.raises(ValueError, match=r"\(D,\) and \(D, D\); got \(2,\) and \(3, 3\)"):
        FeatureStatistics.from_moments(torch.zeros(2), torch.eye(3), count=9)


def colour(image: Tensor) -> Tensor:
    return image.mean((2, 3))


def test_distance_of_images_is_that_of_their_features_and_bears_their_name() -> None:
    images = torch.rand(2, 20, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    distance = FrechetDistance(colour)
    for real, generated in zip(images[0].split(7), images[1].split(7), strict=True):
        distance.update(real, real=True).update(generated, real=False)
    expected = scipys(*(colour(x).double() for x in images))
    assert distance.compute() == pytest.approx(expected, rel=1e-5)
    assert distance.name == "Fréchet distance (colour)"
    assert repr(distance) == "<Fréchet distance (colour): 20 real, 20 generated images>"
    distance.reset()
    assert distance.counts == (0, 0)
    with pytest.raises(ValueError, match="needs real and generated images"):
        distance.compute()


def test_a_module_measures_in_evaluation_mode_without_gradient() -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 8), torch.nn.Dropout())
    distance = FrechetDistance(network)
    images = torch.rand(4, 3, 8, 8)
    distance.update(images, real=True).update(images, real=False)  # (4, 2, 1, 1)
    assert distance.compute() == pytest.approx(0, abs=1e-12)
    assert distance.name == "Fréchet distance (Sequential)"


def test_images_and_features_that_do_not_fit() -> None:
    distance = FrechetDistance(lambda image: image)
    with pytest.raises(ValueError, match=r"images must be in \[-1, 1\]; got values from 0 to 255"):
        distance.update(torch.linspace(0, 255, 48).view(1, 3, 4, 4), real=True)
    with pytest.raises(ValueError, match=r"features of the extractor must be \(B, D\) with B = 1; got \(1, 3, 4, 4\)"):
        distance.update(torch.zeros(1, 3, 4, 4), real=True)
