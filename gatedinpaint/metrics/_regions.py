"""PSNR and SSIM of the whole image, of the hole, and of a band along its border."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from gatedinpaint.masks import dilate, erode
from gatedinpaint.metrics.psnr import psnr
from gatedinpaint.metrics.ssim import BORDER, ssim


def region_figures(result: Tensor, image: Tensor, mask: Tensor, *, band: int) -> dict[str, Tensor]:
    """By name ("PSNR", "PSNR hole", "PSNR band", …), (B,) each, of images in [−1, 1] and a mask (B, 1, H, W)."""
    regions = {"": None, " hole": mask, " band": dilate(mask, band) - erode(mask, band)}
    metrics: tuple[tuple[str, Callable[..., Tensor], int], ...] = (
        ("PSNR", psnr, 0),
        ("SSIM", partial(ssim, lowest=-1.0), BORDER),  # as of photos
    )
    return {
        name + region: _where_defined(metric, result, image, part, border=border)
        for name, metric, border in metrics
        for region, part in regions.items()
    }


def _where_defined(
    metric: Callable[..., Tensor], result: Tensor, image: Tensor, mask: Tensor | None, *, border: int
) -> Tensor:
    """The metric (B,) in a region; NaN where nothing of it lies farther than ``border`` from the image's edge."""
    if mask is None:
        return metric(result, image, data_range=2.0)
    height, width = mask.shape[2:]
    there = mask[:, :, border : height - border, border : width - border].flatten(1).any(dim=1)
    kind = torch.promote_types(result.dtype, torch.float32)
    values = torch.full((len(mask),), float("nan"), dtype=kind, device=image.device)
    if there.any():
        values[there] = metric(result[there], image[there], data_range=2.0, mask=mask[there])
    return values
