"""Structural similarity against scikit-image, LPIPS against one pair of images at a time."""

import warnings
from types import SimpleNamespace
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from benchmarks.timing import Case, Form
from gatedinpaint.metrics import LPIPS, ssim


def cases(*, quick: bool) -> list[Case]:
    size, batch = (32, 2) if quick else (256, 8)
    of = f"{batch} × 3×{size}×{size}"
    return [
        Case("ssim", f"SSIM, {of}", lambda: similarity(size, batch), wanted={"scikit-image": 2.5}, tolerance=1e-6),
        Case("lpips", f"LPIPS (AlexNet), {of}", lambda: distance(size, batch), wanted={"one by one": 1.7}),
    ]


def images(size: int, batch: int) -> tuple[Tensor, Tensor]:
    first, noise = torch.rand(2, batch, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return first, (first + 0.3 * noise).clamp(-1, 1)


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
