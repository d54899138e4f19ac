"""Images seen through a warp."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from gatedinpaint._checks import check_float, check_image
from gatedinpaint.warp.tps import ThinPlateSpline


def warp_image(
    image: Tensor,
    spline: ThinPlateSpline,
    *,
    size: tuple[int, int] | None = None,
    mode: Literal["bilinear", "bicubic", "nearest"] = "bilinear",
) -> tuple[Tensor, Tensor]:
    """Warp an image backwards: the result shows at pixel p what ``image`` shows at ``spline(p)``.

    So the spline's *source* points lie in the result and its *target* points in ``image``. Outside ``image`` the border
    pixels are repeated.

    Args:
        image: float (B, C, H, W).
        spline: from :meth:`ThinPlateSpline.fit`.
        size: (height, width) of the result; by default that of ``image``.
        mode: interpolation.

    Returns:
        The warped image (B, C, h, w) and ``inside`` (B, 1, h, w): 1 where the sampled place lies within ``image``,
        else 0.

    Raises:
        TypeError: an image that is not a floating-point tensor, or a size that is not made of whole numbers.
        ValueError: an image that is not (B, C, H, W) or is empty, a size that is empty or not (height, width), or an
            unknown mode.

    Example:
        >>> corners = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 3.0]])
        >>> shift = ThinPlateSpline.fit(corners, corners + torch.tensor([1.0, 0.0]))  # look one pixel to the right
        >>> warped, inside = warp_image(torch.arange(4.0).expand(1, 1, 4, 4), shift)
        >>> [round(value, 4) for value in warped[0, 0, 0].tolist()], inside[0, 0, 0].tolist()
        ([1.0, 2.0, 3.0, 3.0], [1.0, 1.0, 1.0, 0.0])
    """
    check_image(image, channels=None)
    input_size = (image.shape[2], image.shape[3])
    grid = spline.grid(input_size if size is None else size, input_size=input_size)
    return sample_image(image, grid, mode=mode)


def sample_image(
    image: Tensor, grid: Tensor, *, mode: Literal["bilinear", "bicubic", "nearest"] = "bilinear"
) -> tuple[Tensor, Tensor]:
    """:func:`warp_image` for a grid that is there already: several tensors can be warped with one.

    Args:
        image: float (B, C, H, W).
        grid: (1, h, w, 2) or (B, h, w, 2) from :meth:`ThinPlateSpline.grid` with the ``input_size`` of ``image``.
        mode: interpolation.

    Returns:
        The warped image (B, C, h, w) and ``inside`` (B, 1, h, w): 1 where the sampled place lies within ``image``,
        else 0.

    Raises:
        TypeError: an image or a grid that is not a floating-point tensor.
        ValueError: an image that is not (B, C, H, W) or is empty, a grid of another form or batch size, or an unknown
            mode.

    Example:
        >>> corners = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 3.0]])
        >>> grid = ThinPlateSpline.fit(corners, corners.flip(1)).grid((4, 4))
        >>> image, mask = torch.rand(1, 3, 4, 4), torch.ones(1, 1, 4, 4)
        >>> (transposed, inside), (moved, _) = sample_image(image, grid), sample_image(mask, grid, mode="nearest")
        >>> torch.allclose(transposed, image.mT, atol=1e-5), torch.equal(moved, mask)
        (True, True)
    """
    check_image(image, channels=None)
    check_float(grid, name="grid")
    if mode not in ("bilinear", "bicubic", "nearest"):
        raise ValueError(f'mode must be "bilinear", "bicubic" or "nearest"; got {mode!r}.')
    batch = image.shape[0]
    if grid.ndim != 4 or grid.shape[3] != 2 or grid.shape[0] not in (1, batch):
        raise ValueError(
            f"grid must be (1, h, w, 2) or ({batch}, h, w, 2) for image {tuple(image.shape)}; got {tuple(grid.shape)}."
        )
    # One part in 1e9 of slack: a pixel on the very edge must not fall outside by rounding. Found where the grid is, in
    # float64, which not every device has.
    inside = (grid.abs() <= 1 + 1e-9).all(-1)[:, None].expand(batch, -1, -1, -1)
    half = image.dtype in (torch.float16, torch.bfloat16)
    working = image.float() if half else image
    sampling = grid.to(working.dtype).to(image.device).expand(batch, -1, -1, -1)
    warped = F.grid_sample(working, sampling, mode=mode, padding_mode="border", align_corners=False)
    return warped.to(image.dtype), inside.to(image.device, image.dtype)
