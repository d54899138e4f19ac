"""L1 reconstruction, weighed differently inside and outside the hole."""

from typing import Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn

from gatedinpaint._checks import check_image, check_mask, check_same_shape
from gatedinpaint.losses._precision import at_least_float32
from gatedinpaint.losses._ranks import world_size


def masked_l1_loss(
    input: Tensor,
    target: Tensor,
    mask: Tensor,
    *,
    hole_weight: float = 5.0,
    valid_weight: float = 1.0,
    normalize: Literal["area"] | None = None,
) -> Tensor:
    r"""L1 distance with one weight for the hole and one for the valid pixels.

    With :math:`d = |\text{input} - \text{target}|`, mask :math:`m` (1 = hole) and :math:`C` channels,

    .. math::
        \text{None:}\quad & \mathrm{mean}\,\bigl[(w_h m + w_v (1 - m))\, d\bigr] \\
        \text{"area":}\quad & w_h \frac{\sum m\,d}{C \sum m} + w_v \frac{\sum (1 - m)\,d}{C \sum (1 - m)}

    ``None`` lets a large hole weigh more than a small one; ``"area"`` makes the two regions count alike whatever their
    size. A region without pixels adds exactly 0 and no gradient.

    Under an initialised ``torch.distributed`` group, ``"area"`` sums the pixel counts over all ranks and multiplies by
    their number, so that the gradient that DDP averages is that of one process with the whole batch. Every rank must
    then call the loss.

    Args:
        input: (B, C, H, W), any scale; receives the gradient.
        target: the shape of ``input``; receives none.
        mask: (B, 1, H, W), values in [0, 1], 1 = hole.
        hole_weight: weight :math:`w_h` of the hole.
        valid_weight: weight :math:`w_v` of everything else.
        normalize: ``None`` or ``"area"``.

    Returns:
        A scalar ≥ 0 on the scale of the input. Float32 or wider.

    Raises:
        TypeError: a tensor that is not floating-point.
        ValueError: shapes that do not belong together, a mask with values beyond 0 and 1 (looked at on a CPU alone),
            or an unknown ``normalize``.

    Reference:
        Liu et al., "Image Inpainting for Irregular Holes Using Partial Convolutions", ECCV 2018, section 3.3.

    Departs from the paper:
        The mask-inpainting paper gives no value for its λ_hole; 5.0 is ours. It writes sums; we take means.

    Example:
        >>> import torch
        >>> mask = torch.tensor([[[[1.0, 0.0]]]])
        >>> masked_l1_loss(torch.ones(1, 1, 1, 2), torch.zeros(1, 1, 1, 2), mask)
        tensor(3.)
        >>> masked_l1_loss(torch.ones(1, 1, 1, 2), torch.zeros(1, 1, 1, 2), mask, normalize="area")
        tensor(6.)
    """
    check_image(input, name="input", channels=None)
    check_same_shape(input, target)
    check_mask(mask, input, image_name="input")
    if normalize not in (None, "area"):
        raise ValueError(f'normalize must be None or "area"; got {normalize!r}.')

    difference = (at_least_float32(input) - at_least_float32(target.detach())).abs()
    hole = mask.detach().to(difference.dtype)
    if normalize is None:
        return (difference * (hole_weight * hole + valid_weight * (1 - hole))).mean()

    regions = torch.stack([hole, 1 - hole])
    areas = regions.sum(dim=(1, 2, 3, 4)) * input.shape[1]
    ranks = world_size()
    if ranks > 1:
        dist.all_reduce(areas)
    means = (regions * difference).sum(dim=(1, 2, 3, 4)) / torch.where(areas > 0, areas, 1.0)
    return ranks * (hole_weight * means[0] + valid_weight * means[1])


class MaskedL1Loss(nn.Module):
    """Module form of :func:`masked_l1_loss`.

    Example:
        >>> MaskedL1Loss(hole_weight=6.0)
        MaskedL1Loss(hole_weight=6.0, valid_weight=1.0, normalize=None)
    """

    def __init__(
        self, *, hole_weight: float = 5.0, valid_weight: float = 1.0, normalize: Literal["area"] | None = None
    ) -> None:
        super().__init__()
        self.hole_weight = hole_weight
        self.valid_weight = valid_weight
        self.normalize = normalize

    def forward(self, input: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        return masked_l1_loss(
            input,
            target,
            mask,
            hole_weight=self.hole_weight,
            valid_weight=self.valid_weight,
            normalize=self.normalize,
        )

    def extra_repr(self) -> str:
        return f"hole_weight={self.hole_weight}, valid_weight={self.valid_weight}, normalize={self.normalize!r}"
