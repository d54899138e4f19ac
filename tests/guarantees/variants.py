"""Options under which a network computes something else than by default: each is held to the same guarantees."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from torch import nn

from tests.guarantees.registry import SUBJECTS
from tests.guarantees.subject import Subject


def _with(name: str, **options: Any) -> Subject:
    subject = SUBJECTS[name]
    return replace(subject, make=partial(subject.make, **options), options={})


def _in_training(name: str) -> Subject:
    """Without the clamp of evaluation: the output may leave the image's range, and the gradient passes there."""

    def make() -> Callable[..., Any]:
        network = SUBJECTS[name].make()
        assert isinstance(network, nn.Module)
        return network.train()

    return replace(SUBJECTS[name], make=make, options={})


VARIANTS = {
    "GatedConv2d, low-rank gate": _with("GatedConv2d", gate="low_rank"),
    "GatedConv2d, depthwise-separable gate": _with("GatedConv2d", gate="depthwise_separable"),
    "GatedConv2d, single-channel gate": _with("GatedConv2d", gate="single_channel"),
    "GatedConv2d, spectral norm": _with("GatedConv2d", spectral_norm=True),
    "GatedConv2d, batch norm": _with("GatedConv2d", norm=nn.BatchNorm2d),
    "GatedConv2d, group norm": _with("GatedConv2d", norm=partial(nn.GroupNorm, 2)),
    "GatedConv2d, groups and stride": _with("GatedConv2d", groups=2, stride=2),
    "GatedUpsample2d, bilinear": _with("GatedUpsample2d", mode="bilinear"),
    "ContextualAttention2d, not fused": _with("ContextualAttention2d", fuse=False),
    "InpaintGenerator, in training": _in_training("InpaintGenerator"),
    "DeepFillV2Generator, in training": _in_training("DeepFillV2Generator"),
}
EVERY = SUBJECTS | VARIANTS
