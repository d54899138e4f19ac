import math

import numpy as np
import pytest
import scipy.stats
import torch

from gatedinpaint.metrics import bootstrap, bootstrap_interval, identity_similarity


def test_interval_is_scipys_give_or_take_the_draws() -> None:
    values = np.random.default_rng(0).exponential(size=80)
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    ours = bootstrap_interval(torch.from_numpy(values), resamples=20_000)
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.01)
    assert ours[1] - ours[0] > 0.3


def test_interval_is_the_same_for_a_seed_however_many_are_drawn_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    values = torch.rand(50, generator=torch.Generator().manual_seed(0))
    assert bootstrap_interval(values) == bootstrap_interval(values)
    assert bootstrap_interval(values) != bootstrap_interval(values, seed=1)
    at_once = bootstrap_interval(values)
    monkeypatch.setattr(bootstrap, "_AT_ONCE", 7 * 50)
    assert bootstrap_interval(values) == at_once
    narrow, wide = bootstrap_interval(values, confidence=0.5), bootstrap_interval(values)
    assert wide[0] < narrow[0] < values.mean() < narrow[1] < wide[1]


def test_infinite_values_and_bad_ones() -> None:
    assert bootstrap_interval(torch.full((5,), math.inf)) == (math.inf, math.inf)
    low, high = bootstrap_interval(torch.tensor([1.0] * 20 + [math.inf]))
    assert (low, high) == (1.0, math.inf)
    for values in (torch.zeros(0), torch.zeros(2, 2), torch.tensor([math.nan])):
        with pytest.raises(ValueError, match="values must be"):
            bootstrap_interval(values)
    with pytest.raises(ValueError, match="confidence must lie between 0 and 1; got 95"):
        bootstrap_interval(torch.ones(3), confidence=95)


def test_similarity_by_hand() -> None:
    images = torch.zeros(3, 3, 4, 4)
    images[0, 0], images[1, 1], images[2, :2] = 1, 1, 0.5  # colours (1, 0), (0, 1) and (0.5, 0.5)

    def colour(image: torch.Tensor) -> torch.Tensor:
        return image.mean((2, 3))

    target = images[[0, 0, 0]]
    found = identity_similarity(images, target, embedder=colour)
    torch.testing.assert_close(found, torch.tensor([1, 0, math.sqrt(0.5)]))
    assert identity_similarity(images[:1] * 0, target[:1], embedder=colour).tolist() == [0.0]


def test_similarity_refuses_what_does_not_fit() -> None:
    image = torch.zeros(1, 3, 4, 4)
    with pytest.raises(ValueError, match=r"embedder must give \(B, D\) with B = 1; got \(1, 3, 4, 4\)"):
        identity_similarity(image, image, embedder=lambda x: x)
    with pytest.raises(ValueError, match=r"target must be in \[-1, 1\]"):
        identity_similarity(image, image + 200, embedder=lambda x: x.flatten(1))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_similarity_of_half_embeddings_is_taken_in_float32(dtype: torch.dtype) -> None:
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    found = identity_similarity(images, images.flip(3), embedder=lambda x: (300 * x.flatten(1)).to(dtype))
    both = [(300 * x.flatten(1)).to(dtype).double() for x in (images, images.flip(3))]
    expected = (both[0] * both[1]).sum(1) / both[0].norm(dim=1) / both[1].norm(dim=1)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=0)


def test_ends_lie_on_means_that_were_drawn_and_outside_of_the_share() -> None:
    values = torch.rand(9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    drawn = torch.randint(9, (10, 9), generator=torch.Generator().manual_seed(0))
    means = values[drawn].mean(1)
    assert bootstrap_interval(values, resamples=10) == (means.min(), means.max())  # 0.225 and 8.775 of 0 … 9
