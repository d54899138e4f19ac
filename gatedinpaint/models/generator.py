"""The coarse-to-fine generator: a gated first stage, then a refine net with attention at three scales."""

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from gatedinpaint._checks import check_image, check_mask
from gatedinpaint.layers import init_weights
from gatedinpaint.masks import composite
from gatedinpaint.models._checks import check_width
from gatedinpaint.models._low_rank import Guided, LowRankUpdates, Stages
from gatedinpaint.models._padding import crop, pad_to_multiple
from gatedinpaint.models.coarse_net import CoarseNet
from gatedinpaint.models.coarse_unet import CoarseUNet
from gatedinpaint.models.pretrained import Pretrained
from gatedinpaint.models.refine_net import RefineNet, Skips

# Image and mask; with a reference four more: the warped photo and where it is known.
_INPUT_CHANNELS = 4


class InpaintOutput(NamedTuple):
    """What :class:`InpaintGenerator` returns."""

    coarse: Tensor
    """Result of the first stage, whole frame, (B, 3, H, W) in [−1, 1]."""
    refined: Tensor
    """Result of the second stage, whole frame, (B, 3, H, W). In training unbounded, in eval mode clipped to [−1, 1]."""
    embedding: Tensor
    """Global average of the refine net's middle, (B, 16 · base_channels), for the contrastive loss."""


# Class and the multiple that height and width must be of; the refine net asks for 16.
_FIRST_STAGES: dict[str, tuple[type[CoarseNet] | type[CoarseUNet], int]] = {
    "dilated": (CoarseNet, 16),
    "unet": (CoarseUNet, 32),
}


class InpaintGenerator(Pretrained):
    r"""Coarse net, composite, refine net: fills the hole of an image, with or without a warped reference.

    .. math::
        \mathrm{coarse} = C(x \odot (1 - m),\, m), \qquad
        \mathrm{refined} = R\big(x \odot (1 - m) + \mathrm{coarse} \odot m,\, m\big)

    With ``reference=True`` both stages also see the reference (zero where it is unknown) and where it is known;
    leaving the reference out at the call means that it is known nowhere. Any height and width: the input is padded
    with its border to multiples of 16, or of 32 for a U-Net as first stage, and the result cropped back.

    With ``coarse_only`` set on the object the second stage is left out: ``refined`` is the coarse result then, and the
    embedding is 0. It serves for training the first stage by itself, and is not saved.

    Args:
        base_channels: the width c, even. 68 M parameters at c = 32, growing with c².
        reference: has the four reference channels.
        coarse: the first stage: ``"dilated"`` is :class:`CoarseNet`, ``"unet"`` is :class:`CoarseUNet`.
        skips: of the second stage, :class:`RefineNet`: ``"deep"`` or ``"all"``.
        self_ensemble: in eval mode the first stage also sees the padded image mirrored, and the mean of both results is
            its result: nearer to the truth for things that could as well be the other way round, faces among them, at
            the price of a second pass through the first stage.
        reference_rank: if not 0, what is filled with a reference is filled by other weights, which differ from the rest
            by :class:`LowRankUpdates` of this rank: one network then serves without a reference as if it had never
            seen one. In eval mode each image of a batch goes its own way; in training all go with the updates. A
            compiled or exported network computes both ways for every image and chooses.

    Shapes:
        image (B, 3, H, W) in [−1, 1]; mask (B, 1, H, W), 1 = hole; reference (B, 3, H, W) in [−1, 1]; reference_mask
        (B, 1, H, W), 1 = known there, by default everywhere → :class:`InpaintOutput`. The image has the type of the
        weights; the others may be of any floating-point type.

    Raises:
        TypeError: an argument is no floating-point tensor.
        ValueError: an odd width, an unknown first stage, unknown skips, shapes that do not match, a reference for a
            generator without reference channels, a reference_mask without reference; masks with values beyond 0 and 1
            (looked at on a CPU alone).

    Departs from the paper:
        The hole is zero after normalising to [−1, 1]; the coarse result is composited before it is refined; the refined
        result is clipped in eval mode, where the paper has no last activation; the reference channels are an addition
        (the released code pasted the warped pixels into the hole), and so are ``coarse="unet"``, ``skips="all"``,
        ``self_ensemble`` and ``reference_rank``.

    Reference:
        Lumetti et al., "Mask inpainting with a GAN network". Self-ensemble: Lim et al., "Enhanced Deep Residual
        Networks for Single Image Super-Resolution", CVPRW 2017.

    Example:
        >>> generator = InpaintGenerator(2).eval()
        >>> image, mask = torch.zeros(1, 3, 37, 50), torch.zeros(1, 1, 37, 50)
        >>> mask[..., 10:20, 10:30] = 1
        >>> generator(image, mask).refined.shape
        torch.Size([1, 3, 37, 50])
    """

    def __init__(
        self,
        base_channels: int = 32,
        *,
        reference: bool = True,
        coarse: Literal["dilated", "unet"] = "dilated",
        skips: Skips = "deep",
        self_ensemble: bool = False,
        reference_rank: int = 0,
    ) -> None:
        super().__init__()
        if reference_rank and not reference:
            raise ValueError(f"reference_rank must be 0 without reference; got {reference_rank}.")
        if coarse not in _FIRST_STAGES:
            raise ValueError(f"coarse must be one of {tuple(_FIRST_STAGES)}; got {coarse!r}.")
        self.base_channels = check_width(base_channels)
        self.reference = bool(reference)
        self.self_ensemble = bool(self_ensemble)
        self.coarse_only = False
        self._first_stage = coarse
        in_channels = _INPUT_CHANNELS * (2 if reference else 1)
        first_stage, multiple = _FIRST_STAGES[coarse]
        self.size_multiple = multiple
        """What height and width are padded to a multiple of."""
        self.coarse = first_stage(base_channels, in_channels=in_channels)
        self.refine = RefineNet(base_channels, in_channels=in_channels, skips=skips)
        init_weights(self)
        self.reference_rank = reference_rank
        self.guided: Guided | None = None
        """Of a generator with a reference_rank."""
        if reference_rank:
            self.guided = LowRankUpdates(list(self.named_parameters()), reference_rank)

    @property
    def config(self) -> dict[str, Any]:
        """The arguments that build this network again."""
        config = {"base_channels": self.base_channels, "reference": self.reference}
        options = {
            "coarse": (self._first_stage, "dilated"),
            "skips": (self.refine.skips, "deep"),
            "self_ensemble": (self.self_ensemble, False),
            "reference_rank": (self.reference_rank, 0),
        }
        return config | {name: value for name, (value, default) in options.items() if value != default}

    def forward(
        self, image: Tensor, mask: Tensor, reference: Tensor | None = None, reference_mask: Tensor | None = None
    ) -> InpaintOutput:
        """Fill the hole: see the class for shapes and ranges."""
        check_image(image)
        check_mask(mask, image)
        height, width = image.shape[2:]
        mask = (mask > 0.5).to(image.dtype)
        known = self._reference_channels(image, reference, reference_mask)
        image, mask, known = (pad_to_multiple(x, self.size_multiple) for x in (image, mask, known))
        if self.guided is None or reference is None:
            coarse, refined, embedding = self._fill(self, image, mask, known)
        elif self.training:
            coarse, refined, embedding = self._fill(self.guided.stages(self), image, mask, known)
        else:
            coarse, refined, embedding = self._each_its_way(self.guided, image, mask, known)
        coarse, refined = (crop(x, (height, width)) for x in (coarse, refined))
        return InpaintOutput(coarse, refined, embedding)

    def _fill(self, stages: Stages, image: Tensor, mask: Tensor, known: Tensor) -> InpaintOutput:
        """The padded frame, by the first and second stage of ``stages``."""
        visible = composite(torch.zeros_like(image), image, mask)  # a hole may hold anything, NaN included
        coarse = self._coarse_result(stages.coarse, torch.cat([visible, mask, known], dim=1))
        if self.coarse_only:
            refined, embedding = coarse, coarse.new_zeros(len(coarse), 16 * self.base_channels)
        else:
            refined, embedding = stages.refine(torch.cat([composite(coarse, image, mask), mask, known], dim=1))
        if not self.training:
            refined = refined.clamp(-1, 1)
        return InpaintOutput(coarse, refined, embedding)

    def _each_its_way(self, guided: Guided, *inputs: Tensor) -> InpaintOutput:
        """Every image by the weights that are its own: with a reference or without."""
        has = inputs[-1][:, -1].flatten(1).amax(1) > 0
        if torch.compiler.is_compiling():
            ways = zip(self._fill(guided.stages(self), *inputs), self._fill(self, *inputs), strict=True)
            return InpaintOutput(*(torch.where(has.view(-1, *[1] * (x.ndim - 1)), x, y) for x, y in ways))
        if has.all():
            return self._fill(guided.stages(self), *inputs)
        if not has.any():
            return self._fill(self, *inputs)
        parts = [
            self._fill(stages, *(x[some] for x in inputs))
            for stages, some in ((guided.stages(self), has), (self, ~has))
        ]
        order = torch.cat([has.nonzero(), (~has).nonzero()]).flatten().argsort()
        return InpaintOutput(*(torch.cat(pair)[order] for pair in zip(*parts, strict=True)))

    def _coarse_result(self, stage: nn.Module, x: Tensor) -> Tensor:
        coarse: Tensor = stage(x)
        if self.training or not self.self_ensemble:
            return coarse
        mirrored: Tensor = stage(x.flip(-1))
        return (coarse + mirrored.flip(-1)) / 2

    def _reference_channels(self, image: Tensor, reference: Tensor | None, reference_mask: Tensor | None) -> Tensor:
        """The reference, zero where unknown, and its mask: (B, 4, H, W), or (B, 0, H, W) for a generator without."""
        if reference is None and reference_mask is not None:
            raise ValueError("reference_mask was given without reference. Pass both, or neither.")
        if not self.reference:
            if reference is not None:
                raise ValueError("this generator has no reference channels. Build it with reference=True.")
            return image[:, :0]
        if reference is None:
            return torch.zeros_like(image[:, :1]).expand(-1, 4, -1, -1)
        check_image(reference, name="reference")
        if reference.shape != image.shape:
            raise ValueError(
                f"reference must be warped to the image's {tuple(image.shape)}; got {tuple(reference.shape)}."
            )
        if reference_mask is None:
            reference_mask = torch.ones_like(image[:, :1])
        check_mask(reference_mask, image, name="reference_mask")
        reference_mask = (reference_mask > 0.5).to(image.dtype)
        reference = reference.to(image.dtype)
        return torch.cat([composite(reference, torch.zeros_like(image), reference_mask), reference_mask], dim=1)
