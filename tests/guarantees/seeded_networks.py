"""Networks that are used trained, with seeded values: the trained ones cannot be downloaded everywhere."""

import math
from functools import cache
from types import SimpleNamespace
from unittest import mock

import lpips
import torch
import torchvision
from torch import nn

from gatedinpaint import VGGFeatures
from gatedinpaint.metrics import LPIPS


@cache
def seeded_vgg() -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    layers = [(0, 3, 64), (2, 64, 64), (5, 64, 128), (7, 128, 128), (10, 128, 256), (12, 256, 256), (14, 256, 256)]
    layers += [(17, 256, 512), (19, 512, 512), (21, 512, 512), (24, 512, 512)]
    state = {}
    for index, inputs, outputs in layers:
        noise = torch.randn(outputs, inputs, 3, 3, generator=generator)
        state[f"features.{index}.weight"] = math.sqrt(2 / (9 * inputs)) * noise
        state[f"features.{index}.bias"] = torch.zeros(outputs)
    return VGGFeatures("vgg16", weights=state)


@cache
def seeded_lpips() -> nn.Module:
    torch.manual_seed(0)
    trunk = SimpleNamespace(features=torchvision.models.alexnet(weights=None).features)
    with mock.patch.object(lpips.pretrained_networks.tv, "alexnet", lambda pretrained: trunk):
        return LPIPS("alex")
