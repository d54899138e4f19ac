import math

import pytest
import torch

VGG16 = ((0, 3, 64), (2, 64, 64), (5, 64, 128), (7, 128, 128), (10, 128, 256), (12, 256, 256), (14, 256, 256))
VGG16 += ((17, 256, 512), (19, 512, 512), (21, 512, 512), (24, 512, 512))


@pytest.fixture(scope="session")
def vgg16_state():
    """Seeded values under the keys of torchvision's vgg16, down to conv5_1; He's scale keeps every level alive."""
    generator = torch.Generator().manual_seed(0)
    state = {}
    for index, inputs, outputs in VGG16:
        scale = math.sqrt(2 / (9 * inputs))
        state[f"features.{index}.weight"] = scale * torch.randn(outputs, inputs, 3, 3, generator=generator)
        state[f"features.{index}.bias"] = 0.1 * torch.randn(outputs, generator=generator)
    return state
