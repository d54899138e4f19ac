"""What each loss sees in the same imperfect result, and what it makes of a shift."""

from pathlib import Path

import torch
from torch import Tensor

from docs._build.draw._paper import COLOURS, masked_face, save, sheet, show
from gatedinpaint import (
    SNPatchDiscriminator,
    VGGFeatures,
    composite,
    hinge_generator_loss,
    masked_l1_loss,
    perceptual_loss,
    style_loss,
    total_variation_loss,
)

FIGURES = (
    "losses-see.png",
    "loss-levels.png",
    "loss-shift.png",
)


def draw(folder: Path) -> None:
    torch.manual_seed(0)
    features = seeded_features()
    _what_each_sees(folder, features)
    _shift(folder, features)


def seeded_features() -> VGGFeatures:
    """VGG-16's layers with random weights: ImageNet's would have to be downloaded."""
    shapes = {key: torch.empty(value.shape) for key, value in _empty_vgg16().items()}
    generator = torch.Generator().manual_seed(0)
    for value in shapes.values():
        fan_in = value[0].numel() if value.ndim > 1 else 1
        value.normal_(std=(2 / fan_in) ** 0.5 if value.ndim > 1 else 0.0, generator=generator)
    return VGGFeatures("vgg16", weights=shapes)


def _empty_vgg16() -> dict[str, Tensor]:
    widths = {0: (3, 64), 2: (64, 64), 5: (64, 128), 7: (128, 128), 10: (128, 256), 12: (256, 256), 14: (256, 256)}
    widths |= {17: (256, 512), 19: (512, 512), 21: (512, 512), 24: (512, 512)}
    weights = {f"features.{i}.weight": torch.empty(out, into, 3, 3, device="meta") for i, (into, out) in widths.items()}
    return weights | {f"features.{i}.bias": torch.empty(out, device="meta") for i, (_, out) in widths.items()}


def _what_each_sees(folder: Path, features: VGGFeatures) -> None:
    face = masked_face()
    with torch.inference_mode():
        refined = face.generator(face.image, face.mask).refined
    result = composite(refined, face.truth, face.mask).clone().requires_grad_()
    discriminator = SNPatchDiscriminator(8).eval()
    with torch.no_grad():
        truth_features = features(face.truth)
    result_features = features(result)
    terms = {
        "masked L1": masked_l1_loss(result, face.truth, face.mask),
        "total variation": total_variation_loss(result),
        "perceptual": perceptual_loss(result_features, truth_features),
        "style": style_loss(result_features, truth_features),
        "hinge, generator": hinge_generator_loss(discriminator(result, face.mask)),
    }
    figure, axes = sheet(2, 4, height=3.9)
    show(axes[0, 0], face.truth, "truth")
    show(axes[0, 1], result, "result")
    show(axes[0, 2], (result - face.truth).abs().mean(1), "|result − truth|", cmap="magma")
    for ax, (name, term) in zip(axes.flat[3:], terms.items(), strict=True):
        show(ax, _seen(term, result), name, cmap="magma")
    save(figure, folder / "losses-see.png")

    figure, axes = sheet(2, 5, height=3.2)
    losses = {"perceptual": perceptual_loss, "style": style_loss}
    for row, (name, loss) in enumerate(losses.items()):
        for level in range(5):
            term = loss(result_features[level : level + 1], truth_features[level : level + 1])
            show(axes[row, level], _seen(term, result), f"{name}, relu{level + 1}_1", cmap="magma")
    save(figure, folder / "loss-levels.png")


def _seen(term: Tensor, image: Tensor) -> Tensor:
    """|gradient| with respect to the image, mean over colours; the largest half per cent is cut off."""
    (gradient,) = torch.autograd.grad(term, image, retain_graph=True)
    size = gradient.abs().mean(1)
    return size.clamp(max=torch.quantile(size, 0.995))


def _shift(folder: Path, features: VGGFeatures) -> None:
    """The losses between a picture and itself moved to the right, as a share of that of its pixels in random order."""
    face = masked_face()
    picture = face.truth
    everywhere = torch.ones_like(face.mask)
    shuffled = picture.flatten(2)[..., torch.randperm(128 * 128, generator=torch.Generator().manual_seed(0))]
    others = {f"{n}": torch.roll(picture, n, dims=3) for n in range(13)}
    others["shuffled"] = shuffled.view_as(picture)
    values: dict[str, list[float]] = {"masked L1": [], "perceptual": [], "style": []}
    with torch.inference_mode():
        target = features(picture)
        for other in others.values():
            maps = features(other)
            values["masked L1"].append(masked_l1_loss(other, picture, everywhere).item())
            values["perceptual"].append(perceptual_loss(maps, target).item())
            values["style"].append(style_loss(maps, target).item())
    figure, axes = sheet(1, 1, height=2.1)
    for (name, series), color in zip(values.items(), COLOURS, strict=False):
        axes[0, 0].plot([100 * value / series[-1] for value in series[:-1]], color=color, label=name)
    axes[0, 0].set(xlabel="moved to the right, pixels", ylabel="% of the loss of\nshuffled pixels", ylim=(0, None))
    axes[0, 0].legend(fontsize=7, frameon=False)
    save(figure, folder / "loss-shift.png")
