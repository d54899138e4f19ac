"""Structural similarity against scikit-image, LPIPS against one pair of images at a time, the Fréchet distance against
SciPy's square root of a matrix, and its statistics against keeping all features."""

import warnings
from collections.abc import Iterator
from types import SimpleNamespace
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from benchmarks.timing import Case, Form
from gatedinpaint.metrics import LPIPS, FeatureStatistics, frechet_distance, ssim


def cases(*, quick: bool) -> list[Case]:
    size, batch = (32, 2) if quick else (256, 8)
    of = f"{batch} × 3×{size}×{size}"
    return [
        Case("ssim", f"SSIM, {of}", lambda: similarity(size, batch), wanted={"scikit-image": 2.5}, tolerance=1e-6),
        Case("lpips", f"LPIPS (AlexNet), {of}", lambda: distance(size, batch), wanted={"one by one": 1.7}),
        *frechet_cases(quick=quick),
    ]


def frechet_cases(*, quick: bool) -> list[Case]:
    dim, many, few = (64, 100, 20) if quick else (2048, 3000, 628)
    rows, width = (256, 16) if quick else (16384, 512)
    return [
        Case(
            "frechet",
            f"Fréchet distance, {dim:,} features of {many:,} images (median of 3)",
            lambda: frechet(dim, many),
            wanted={"sqrtm": 15.0},
            tolerance=1e-6,
            most_repeats=3,
        ),
        Case(
            "frechet-few",
            f"Fréchet distance, {dim:,} features of {few} images (median of 3)",
            lambda: frechet(dim, few),
            wanted={"sqrtm": 100.0},
            tolerance=1e-5,  # the error of the square root of a singular matrix
            most_repeats=3,
        ),
        Case(
            "feature-statistics",
            f"mean and covariance of {rows:,} × {width} features in batches of 64",
            lambda: statistics(rows, width),
            wanted={"keep all": 0.83},
            tolerance=1e-9,
            wanted_memory=0.5,
        ),
    ]


def images(size: int, batch: int) -> tuple[Tensor, Tensor]:
    first, noise = torch.rand(2, batch, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return first, (first + 0.3 * noise).clamp(-1, 1)


def features(count: int, dim: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(dim, dim, generator=generator) / dim**0.5
    return torch.randn(count, dim, generator=generator) @ mixing + 0.05 * seed


def frechet(dim: int, count: int) -> dict[str, Form]:
    import scipy.linalg

    both = [FeatureStatistics(dim), FeatureStatistics(dim)]
    for seed, one in enumerate(both):
        one.update(features(count, dim, seed))
    (m1, s1), (m2, s2) = ((x.mean.numpy(), x.covariance.numpy()) for x in both)
    if count > dim:  # both forms begin with the moments; of few images the rows themselves are there
        both = [FeatureStatistics.from_moments(x.mean, x.covariance, count=count) for x in both]

    def plain() -> Tensor:
        root = scipy.linalg.sqrtm(s1 @ s2).real
        return torch.tensor(float((m1 - m2) @ (m1 - m2) + np.trace(s1) + np.trace(s2) - 2 * np.trace(root)))

    def ours() -> Tensor:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that there are few images
            return torch.tensor(frechet_distance(both[0], both[1]))

    return {"sqrtm": plain, "ours": ours}


def statistics(rows: int, dim: int) -> dict[str, Form]:
    made = torch.rand(rows, dim, generator=torch.Generator().manual_seed(0))

    def batches() -> Iterator[Tensor]:  # copies, as if a network gave them: who keeps them holds them
        return (batch.clone() for batch in made.split(64))

    def plain() -> list[Tensor]:
        kept = np.concatenate([batch.numpy() for batch in batches()]).astype(np.float64)
        return [torch.from_numpy(kept.mean(0)), torch.from_numpy(np.cov(kept, rowvar=False))]

    def ours() -> list[Tensor]:
        gathered = FeatureStatistics(dim)
        for batch in batches():
            gathered.update(batch)
        return [gathered.mean, gathered.covariance]

    return {"keep all": plain, "ours": ours}


def similarity(size: int, batch: int) -> dict[str, Form]:
    from skimage.metrics import structural_similarity

    input, target = images(size, batch)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}

    def plain() -> Tensor:
        pairs = zip(input.numpy(), target.numpy(), strict=True)
        values = [structural_similarity(x, y, data_range=2.0, channel_axis=0, **options) for x, y in pairs]
        return torch.from_numpy(np.array(values))

    return {"scikit-image": plain, "ours": lambda: ssim(input, target, data_range=2.0)}


def distance(size: int, batch: int) -> dict[str, Form]:
    import lpips
    from torchvision.models import alexnet

    # The time does not depend on the values: random ones need no download.
    torch.manual_seed(0)
    layers = alexnet(weights=None).features
    untrained = SimpleNamespace(features=layers)
    with (
        mock.patch.object(lpips.pretrained_networks.tv, "alexnet", lambda pretrained: untrained),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        reference = lpips.LPIPS(net="alex", verbose=False)
        untrained.features = alexnet(weights=None).features
        untrained.features.load_state_dict(layers.state_dict())
        metric = LPIPS("alex")
    input, target = images(size, batch)
    no_grad = torch.no_grad()
    return {
        "one by one": no_grad(
            lambda: torch.cat([reference(x[None], y[None]).flatten() for x, y in zip(input, target, strict=True)])
        ),
        "one batch": no_grad(lambda: reference(input, target).flatten()),
        "ours": no_grad(lambda: metric(input, target)),
    }
