"""One gated convolution on one image: where the gate closes, the feature is held back."""

import torch

from gatedinpaint import GatedConv2d


def main() -> None:
    torch.manual_seed(0)
    image = torch.rand(1, 3, 64, 64) * 2 - 1  # float (B, 3, H, W) in [-1, 1]
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 16:48, 16:48] = 1  # 1 marks the hole

    layer = GatedConv2d(4, 8, kernel_size=3, stride=2)
    image_and_mask = torch.cat([image * (1 - mask), mask], dim=1)
    features = layer(image_and_mask)
    print(f"image and mask {tuple(image_and_mask.shape)} -> features {tuple(features.shape)}")


if __name__ == "__main__":
    main()
