"""Perceptual and style loss of an output and its composite: one shared pass against a network run for every term."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from benchmarks.timing import Case, Form
from gatedinpaint import VGGFeatures, composite, feature_pass, free_form_mask, perceptual_loss, style_loss

PERCEPTUAL, STYLE = 0.05, 80.0  # the paper's weights
LEVELS = (1, 6, 11, 20, 29)  # relu1_1 ... relu5_1 among torchvision's layers


def cases(*, quick: bool) -> list[Case]:
    size = 32 if quick else 256
    return [
        Case(
            "perceptual-style",
            f"Perceptual + style, VGG-19, 2 × {size}×{size}, output and composite, forward + backward",
            lambda: build(size),
            wanted={"pass per term": 2.0},
            tolerance=1e-3,
        )
    ]


class PlainVGG(nn.Module):
    """Torchvision's layers, one after the other."""

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers[: LEVELS[-1] + 1].requires_grad_(False)

    def forward(self, image: Tensor) -> list[Tensor]:
        mean, std = (image.new_tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
        x, features = ((image + 1) / 2 - mean) / std, []
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index in LEVELS:
                features.append(x)
        return features


def pass_per_term(vgg: nn.Module, inputs: Sequence[Tensor], target: Tensor) -> Tensor:
    """Each term runs the network on its input and on its target."""
    perceptual = [perceptual_loss(vgg(image), vgg(target)) for image in inputs]
    style = [style_loss(vgg(image), vgg(target)) for image in inputs]
    return PERCEPTUAL * torch.stack(perceptual).sum() + STYLE * torch.stack(style).sum()


def shared_pass(vgg: nn.Module, inputs: Sequence[Tensor], target: Tensor) -> Tensor:
    features, of_target = feature_pass(vgg, inputs, target)
    perceptual = [perceptual_loss(levels, of_target) for levels in features]
    style = [style_loss(levels, of_target) for levels in features]
    return PERCEPTUAL * torch.stack(perceptual).sum() + STYLE * torch.stack(style).sum()


def build(size: int) -> dict[str, Form]:
    from torchvision.models import vgg

    torch.manual_seed(0)
    layers = vgg.make_layers(vgg.cfgs["E"])
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)  # its speed does not depend on what it was trained for
    plain = PlainVGG(layers)
    ours = VGGFeatures(weights={f"features.{key}": value for key, value in layers.state_dict().items()})
    target, output = torch.rand(2, 2, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    mask = free_form_mask((size, size), hole_ratio=0.3, seed=0, batch_size=2)

    def with_gradient(loss: Callable[[nn.Module, Sequence[Tensor], Tensor], Tensor], network: nn.Module) -> Form:
        def run() -> list[Tensor]:
            image = output.clone().requires_grad_()
            value = loss(network, [image, composite(image, target, mask)], target)
            (gradient,) = torch.autograd.grad(value, image)
            # Single elements differ where a ReLU or an absolute value turns on the last digit; their length does not.
            return [value.detach(), gradient.numel() ** 0.5 * gradient.norm()]

        return run

    return {"pass per term": with_gradient(pass_per_term, plain), "ours": with_gradient(shared_pass, ours)}
