"""Every public name through which a gradient flows: how to build it small, and with what to call it.

``test_registry.py`` fails when a public name is neither in ``SUBJECTS`` nor in ``names.NOT_DIFFERENTIABLE``.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

import gatedinpaint as gi
from gatedinpaint import metrics
from tests.guarantees.draw import Draw
from tests.guarantees.seeded_networks import seeded_lpips, seeded_vgg
from tests.guarantees.subject import Subject


def _module(cls: type[nn.Module], *positional: Any) -> Callable[..., nn.Module]:
    def make(**options: Any) -> nn.Module:
        torch.manual_seed(0)
        module = cls(*positional, **options).eval()
        for part in module.modules():
            if isinstance(part, gi.SelfAttention2d):
                nn.init.constant_(part.gamma, 0.5)  # at its start value of 0 the attention would not be seen
        return module

    return make


def _function(function: Callable[..., Any], **defaults: Any) -> Callable[..., Any]:
    return lambda **options: partial(function, **defaults | options)


def _spectrally_normed(**options: Any) -> nn.Module:
    torch.manual_seed(0)
    return gi.spectral_norm(nn.Conv2d(3, 4, 3, padding=1), **options).eval()


def _pyramid(image: Tensor) -> list[Tensor]:
    return [image, nn.functional.avg_pool2d(image, 2, ceil_mode=True)]


def _weighted_sum(first: Tensor, second: Tensor, **options: Any) -> Tensor:
    return gi.weighted_sum({"a": first, "b": second}, {"a": 2.0, "b": 0.5} | options)


def _spline(source: Tensor, target: Tensor, points: Tensor, **options: Any) -> tuple[Tensor, Tensor]:
    spline = gi.ThinPlateSpline.fit(source, target, **options)
    return spline(points), spline.jacobian(points)


def _warp(image: Tensor, source: Tensor, target: Tensor, **options: Any) -> tuple[Tensor, Tensor]:
    return gi.warp_image(image, gi.ThinPlateSpline.fit(source, target), **options)


def _grid(draw: Draw) -> Tensor:
    return 1.2 * torch.rand(1, 5, 6, 2, generator=draw.generator, dtype=torch.float64) - 0.6


positive = st.integers(-1, 4)
seldom_bad = st.sampled_from([1, 1, 2, 2, 3, 0])
gated = {
    "stride": seldom_bad,
    "dilation": seldom_bad,
    "groups": st.sampled_from([1, 1, 2, 3, 0]),
    "bias": st.booleans(),
    "padding": st.sampled_from(["same", "same", 0, 1]),
    "padding_mode": st.sampled_from(["zeros", "replicate", "reflect", "circular"]),
    "gate": st.sampled_from(["full", "low_rank", "depthwise_separable", "single_channel", "none"]),
    "spectral_norm": st.booleans(),
}
weights = st.floats(-100, 100)
l1 = {
    "hole_weight": weights,
    "valid_weight": weights,
    "normalize": st.sampled_from([None, "area", "hole"]),
}
nce = {"temperature": st.sampled_from([0.07, 0.1, 1.0, 1e-3, 1e-4, 0.0])}
tv = {"p": st.sampled_from([1, 2, 3])}
levels = {"weights": st.sampled_from([None, [1.0, 0.5], [1.0]])}
widths = {"base_channels": st.sampled_from([2, 2, 4, 3, 0])}
metric = {"data_range": st.sampled_from([2.0, 2.0, 255.0, 0.5, 0.0])}
radius = {"radius": st.integers(-1, 3)}


def _generator_arguments(draw: Draw) -> tuple[Tensor, ...]:
    return draw.image(), draw.mask(), draw.image(), draw.mask()


def _two_levels(draw: Draw) -> tuple[list[Tensor], list[Tensor]]:
    shapes = ((4, 1), (6, 2))
    return [draw.map(c, shrink=s) for c, s in shapes], [draw.map(c, shrink=s) for c, s in shapes]


def _image_pair(draw: Draw) -> tuple[Tensor, Tensor]:
    return draw.image(), draw.image()


SUBJECTS: dict[str, Subject] = {
    # layers
    "GatedConv2d": Subject(_module(gi.GatedConv2d, 4, 6, 3), lambda d: (d.map(4),), options=gated),
    "GatedUpsample2d": Subject(
        _module(gi.GatedUpsample2d, 4, 2),
        lambda d: (d.map(4),),
        options={"scale_factor": positive, "mode": st.sampled_from(["nearest", "bilinear", "linear"])},
    ),
    "PartialConv2d": Subject(
        _module(gi.PartialConv2d, 4, 6, 3),
        lambda d: (d.map(4), d.mask()),
        options={key: gated[key] for key in ("stride", "padding", "dilation", "groups", "bias")},
    ),
    "SPDResBlock": Subject(
        _module(gi.SPDResBlock, 8),
        lambda d: (d.map(8),),
        options={
            "dilations": st.sampled_from([(1, 2), (1, 2, 4, 8), (1, 2, 3), ()]),
            "padding_mode": gated["padding_mode"],
        },
    ),
    "SelfAttention2d": Subject(
        _module(gi.SelfAttention2d, 8), lambda d: (d.map(8),), largest=10.0, options={"reduction": positive}
    ),
    "MultiScaleSelfAttention": Subject(
        _module(gi.MultiScaleSelfAttention, [8, 4]),
        lambda d: ([d.map(8), d.map(4, shrink=2)],),
        receives_gradient=(0, 1),
        largest=10.0,
    ),
    "ContextualAttention2d": Subject(
        _module(gi.ContextualAttention2d),
        lambda d: (d.map(3), d.mask(enlarge=2)),
        multiple=2,
        options={
            "softmax_scale": st.sampled_from([10.0, 1.0, 0.0]),
            "fuse": st.booleans(),
            "max_scores": st.sampled_from([2**24, 1, 0]),
        },
    ),
    "spectral_norm": Subject(
        _spectrally_normed, lambda d: (d.map(3),), options={"iterations": positive}, spoilable=False
    ),
    # models
    "CoarseNet": Subject(_module(gi.CoarseNet, 2), lambda d: (d.map(4),), (16, 16), multiple=4, largest=1.0),
    "CoarseUNet": Subject(_module(gi.CoarseUNet, 2), lambda d: (d.map(4),), (32, 32), multiple=32, largest=1.0),
    "RefineNet": Subject(_module(gi.RefineNet, 2), lambda d: (d.map(4),), (16, 16), multiple=16, largest=1.0),
    "InpaintGenerator": Subject(
        _module(gi.InpaintGenerator, 2),
        _generator_arguments,
        (16, 16),
        receives_gradient=(0, 2),
        largest=1.0,
        slow=True,
    ),
    "DeepFillV2Generator": Subject(
        _module(gi.DeepFillV2Generator, 8),
        lambda d: (d.image(), d.mask()),
        (32, 32),  # smaller, and its attention finds no patch without a hole
        largest=1.0,
        slow=True,
    ),
    "SNPatchDiscriminator": Subject(
        _module(gi.SNPatchDiscriminator, 2),
        lambda d: (d.image(), d.mask()),
        (16, 16),
        receives_gradient=(0, 1),
        largest=1.0,
    ),
    # losses
    "hinge_discriminator_loss": Subject(
        _function(gi.hinge_discriminator_loss),
        lambda d: (d.map(4), d.map(4)),
        receives_gradient=(0, 1),
        per_sample=False,
    ),
    "HingeDiscriminatorLoss": Subject(
        _module(gi.HingeDiscriminatorLoss),
        lambda d: (d.map(4), d.map(4)),
        receives_gradient=(0, 1),
        per_sample=False,
    ),
    "hinge_generator_loss": Subject(_function(gi.hinge_generator_loss), lambda d: (d.map(4),), per_sample=False),
    "HingeGeneratorLoss": Subject(_module(gi.HingeGeneratorLoss), lambda d: (d.map(4),), per_sample=False),
    "info_nce_loss": Subject(
        lambda **options: lambda q, k, n=None: gi.info_nce_loss(q, k, negatives=n, **options),
        lambda d: (d.vectors(6), d.vectors(6)),
        smallest_batch=2,
        receives_gradient=(0, 1),
        per_sample=False,
        options=nce,
    ),
    "InfoNCELoss": Subject(
        _module(gi.InfoNCELoss),
        lambda d: (d.vectors(6), d.vectors(6)),
        smallest_batch=2,
        receives_gradient=(0, 1),
        per_sample=False,
        options=nce,
    ),
    "masked_l1_loss": Subject(
        _function(gi.masked_l1_loss), lambda d: (d.image(), d.image(), d.mask()), per_sample=False, options=l1
    ),
    "MaskedL1Loss": Subject(
        _module(gi.MaskedL1Loss), lambda d: (d.image(), d.image(), d.mask()), per_sample=False, options=l1
    ),
    "perceptual_loss": Subject(
        _function(gi.perceptual_loss), _two_levels, receives_gradient=(0, 1), per_sample=False, options=levels
    ),
    "PerceptualLoss": Subject(
        _module(gi.PerceptualLoss), _two_levels, receives_gradient=(0, 1), per_sample=False, options=levels
    ),
    "gram_matrix": Subject(_function(gi.gram_matrix), lambda d: (d.map(4),)),
    "style_loss": Subject(_function(gi.style_loss), _two_levels, receives_gradient=(0, 1), per_sample=False),
    "StyleLoss": Subject(_module(gi.StyleLoss), _two_levels, receives_gradient=(0, 1), per_sample=False),
    "total_variation_loss": Subject(
        _function(gi.total_variation_loss), lambda d: (d.image(),), per_sample=False, options=tv
    ),
    "TotalVariationLoss": Subject(_module(gi.TotalVariationLoss), lambda d: (d.image(),), per_sample=False, options=tv),
    "VGGFeatures": Subject(lambda: seeded_vgg(), lambda d: (d.image(),), (16, 16), smallest=16, largest=1.0),
    "feature_pass": Subject(
        lambda: partial(gi.feature_pass, _pyramid),
        lambda d: ([d.image(), d.image()], d.image()),
        receives_gradient=(0, 1),
    ),
    "weighted_sum": Subject(
        _function(_weighted_sum),
        lambda d: (d.scalar(), d.scalar()),
        receives_gradient=(0, 1),
        per_sample=False,
        options={"a": st.sampled_from([1.0, 0.0, -3, math.inf, "1"])},
    ),
    # warp
    "ThinPlateSpline": Subject(
        _function(_spline),
        lambda d: (d.points(), d.points(), d.points(scale=3.0)),
        receives_gradient=(0, 1, 2),
        per_sample=False,
        options={"regularization": st.sampled_from([0.0, 1.0, -1.0, math.nan])},
    ),
    "warp_image": Subject(
        _function(_warp),
        lambda d: (d.image(), d.points(), d.points()),
        receives_gradient=(0, 1, 2),
        per_sample=False,
        options={"mode": st.sampled_from(["bilinear", "nearest", "bicubic"])},
    ),
    "sample_image": Subject(
        _function(gi.warp.sample_image),
        lambda d: (d.image(), _grid(d)),
        receives_gradient=(0, 1),
        per_sample=False,
        options={"mode": st.sampled_from(["bilinear", "nearest", "bicubic"])},
    ),
    # masks
    "composite": Subject(_function(gi.composite), lambda d: (d.image(), d.image(), d.mask()), receives_gradient=(0, 1)),
    "dilate": Subject(_function(gi.dilate, radius=1), lambda d: (d.map(1).sigmoid(),), options=radius),
    "erode": Subject(_function(gi.erode, radius=1), lambda d: (d.map(1).sigmoid(),), options=radius),
    "feather": Subject(_function(gi.feather, radius=1), lambda d: (d.map(1).sigmoid(),), options=radius),
    # metrics
    "psnr": Subject(
        _function(metrics.psnr, data_range=2.0),
        _image_pair,
        receives_gradient=(0, 1),
        options=metric,
        infinite=True,
    ),
    "LPIPS": Subject(
        lambda: seeded_lpips(),
        _image_pair,
        (31, 33),
        smallest=31,
        receives_gradient=(0, 1),
        largest=1.0,
        always_float32=True,
    ),
    "ssim": Subject(
        _function(metrics.ssim, data_range=2.0),
        _image_pair,
        (12, 13),
        smallest=11,
        receives_gradient=(0, 1),
        options=metric,
    ),
}
