"""Networks over whose features metrics are taken."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from gatedinpaint._checks import check_float
from gatedinpaint.metrics.feature_statistics import check_finite


@torch.no_grad()
def features_of(extractor: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """What an extractor makes of images (B, 3, H, W): (B, D); it raises for anything else, and for NaN."""
    features = extractor(images)
    check_float(features, name="features of the extractor")
    if features.ndim == 4 and features.shape[2:] == (1, 1):
        features = features.flatten(1)
    if features.ndim != 2 or len(features) != len(images):
        raise ValueError(
            f"features of the extractor must be (B, D) with B = {len(images)}; got {tuple(features.shape)}. "
            "Average maps over their pixels."
        )
    check_finite(features)
    return features


def evaluated(extractor: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """The extractor, in evaluation mode if it is a module."""
    return extractor.eval() if isinstance(extractor, torch.nn.Module) else extractor


@contextmanager
def made_in_float32() -> Iterator[None]:
    """A block in which networks are made in float32, whatever the default is: what they measure depends on it."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def distance_name(extractor: Callable[[Tensor], Tensor]) -> str:
    """What a Fréchet distance over the features of ``extractor`` is called."""
    name = getattr(extractor, "name", None) or getattr(extractor, "__name__", None) or type(extractor).__name__
    return str(getattr(extractor, "distance_name", None) or f"Fréchet distance ({name})")
