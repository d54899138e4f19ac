"""Thin-plate splines: the smoothest map of the plane that sends one set of points to another."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from gatedinpaint._checks import check_image

# Pairs of a point and a control point evaluated at once: the table stays in the processor's cache.
_BLOCK = 2**18


class DegenerateControlPointsError(ValueError):
    """The control points do not determine a thin-plate spline: too few, coincident, or on one line."""


def _kernel(points: Tensor, control: Tensor) -> Tensor:
    """U(r) = r² log r between every point (M, 2) and every control point (N, 2); U(0) = 0."""
    squared = (points[:, None] - control).square().sum(-1)
    return 0.5 * squared * _safe_log(squared)


def _safe_log(squared: Tensor) -> Tensor:
    """Logarithm, with 0 for that of 0, which would be -inf and its gradient NaN."""
    return torch.where(squared > 0, squared, 1.0).log()


class ThinPlateSpline:
    r"""The thin-plate spline f with f(sourceᵢ) = targetᵢ and least bending energy.

    .. math:: f(x) = A [x, 1] + \sum_i w_i\, U(\lVert x - \mathrm{source}_i \rVert), \qquad U(r) = r^2 \log r

    Build it with :meth:`fit`; call it with points. Everything is float64, whatever the type of the arguments.

    Example:
        >>> source = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0], [4.0, 4.0]])
        >>> spline = ThinPlateSpline.fit(source, source + torch.tensor([1.0, 2.0]))
        >>> [round(value, 6) for value in spline(torch.tensor([[3.0, 1.0]]))[0].tolist()]
        [4.0, 3.0]

    Reference:
        Bookstein, "Principal warps: thin-plate splines and the decomposition of deformations", PAMI 1989.
    """

    def __init__(self, source: Tensor, weights: Tensor, affine: Tensor) -> None:
        self.source = source
        """Control points, float64 (N, 2)."""
        self.weights = weights
        """Weights w of the kernels, float64 (N, 2)."""
        self.affine = affine
        """Affine part, float64 (3, 2): rows for x, y and 1."""

    @classmethod
    def fit(cls, source: Tensor, target: Tensor, *, regularization: float = 0.0) -> "ThinPlateSpline":
        """Solve for the spline that maps ``source`` points to ``target`` points.

        Args:
            source: (N, 2) points (x, y), N ≥ 3, not all on one line.
            target: (N, 2) points, the i-th belonging to the i-th source point.
            regularization: λ ≥ 0 added to the kernel matrix's diagonal. 0 interpolates exactly; larger values trade
                exactness for smoothness, towards the least-squares affine map. Its unit is that of U: pixels² · log
                pixels.

        Raises:
            DegenerateControlPointsError: fewer than three points, points on one line, or (without regularization)
                points that coincide.
            ValueError: shapes that do not match, a negative regularization, or NaN or infinity anywhere.
        """
        source, target = _as_points(source, "source"), _as_points(target, "target")
        if source.shape != target.shape:
            raise ValueError(
                f"source and target must hold the same number of points; got {len(source)} and {len(target)}."
            )
        if not 0 <= regularization < math.inf:
            raise ValueError(f"regularization must be finite and 0 or more; got {regularization}.")
        extent = _check_control_points(source, exact=regularization == 0)

        # The polynomial is fitted in centred unit coordinates: pixels up to 4,000 beside the constant 1 would cost
        # digits.
        count, centre = len(source), source.mean(0)
        polynomial = torch.cat([(source - centre) / extent, source.new_ones(count, 1)], 1)
        system = source.new_zeros(count + 3, count + 3)
        system[:count, :count] = _kernel(source, source) + regularization * torch.eye(count, dtype=source.dtype)
        system[:count, count:] = polynomial
        system[count:, :count] = polynomial.T
        solution = torch.linalg.solve(system, torch.cat([target, target.new_zeros(3, 2)]))

        linear = solution[count : count + 2] / extent
        constant = solution[count + 2 :] - centre[None] @ linear
        return cls(source, solution[:count], torch.cat([linear, constant]))

    def __call__(self, points: Tensor) -> Tensor:
        """Map points (M, 2) to float64 (M, 2)."""
        points = _as_points(points, "points")
        blocks = torch.split(points, max(_BLOCK // len(self.source), 1))
        bending = torch.cat([_kernel(block, self.source) @ self.weights for block in blocks])
        return points @ self.affine[:2] + self.affine[2] + bending

    def jacobian(self, points: Tensor) -> Tensor:
        r"""The derivative of the map at points (M, 2): float64 (M, 2, 2), entry (a, b) is ∂fₐ / ∂x_b.

        Its determinant is the factor by which areas grow there; where it is 0 or less, the map folds over.

        .. math:: J(x) = A_{:2}^\top + \sum_i w_i\, (2 \log r_i + 1)\, (x - \mathrm{source}_i)^\top

        >>> corners = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
        >>> wider = ThinPlateSpline.fit(corners, corners * torch.tensor([3.0, 1.0]))
        >>> [round(value, 6) for value in wider.jacobian(corners).det().tolist()]
        [3.0, 3.0, 3.0]
        """
        blocks = torch.split(_as_points(points, "points"), max(_BLOCK // len(self.source), 1))
        return torch.cat([self._jacobian(block) for block in blocks])

    def _jacobian(self, points: Tensor) -> Tensor:
        difference = points[:, None] - self.source
        slope = _safe_log(difference.square().sum(-1)) + 1  # where r = 0 the difference is 0 too
        return self.affine[:2].T + torch.einsum("mn,na,mnb->mab", slope, self.weights, difference)

    def grid(self, size: tuple[int, int], *, input_size: tuple[int, int] | None = None) -> Tensor:
        """Sampling grid (1, H, W, 2) for :func:`torch.nn.functional.grid_sample` with ``align_corners=False``.

        Entry (y, x) holds f(x, y), where pixel centres lie at integers, in the normalised coordinates of an image of
        ``input_size`` (default: ``size``): −1 and 1 are the outer edges of its first and last pixel. Float64; several
        times faster than to call the spline with every pixel.

        Args:
            size: (height, width) of the output.
            input_size: (height, width) of the image that will be sampled.
        """
        height, width = size
        input_height, input_width = input_size or size
        # Pixel p of n stands at (2 p + 1) / n - 1.
        scale = self.affine.new_tensor([2.0 / input_width, 2.0 / input_height])
        half_weights = (0.5 * scale * self.weights).T
        affine = scale * self.affine + scale.new_tensor([[0.0], [0.0], [1.0]]) * (0.5 * scale - 1)

        # On a grid r² is a sum of what belongs to the column and what belongs to the row. The addend keeps the
        # logarithm finite at a control point, where U then is 0 to 28 digits.
        x, y = torch.arange(width), torch.arange(height)
        columns, rows = (x - self.source[:, :1]).square(), (y - self.source[:, 1:]).square() + 1e-30  # (N, W), (N, H)
        affine_x, affine_y = affine[0][:, None] * x, affine[1][:, None] * y + affine[2][:, None]  # (2, W), (2, H)
        blocks = []
        step = max(_BLOCK // columns.numel(), 1)
        for row, affine_row in zip(torch.split(rows, step, 1), torch.split(affine_y, step, 1), strict=True):
            squared = row[:, :, None] + columns[:, None]
            kernels = squared.log() * squared
            bending = (half_weights @ kernels.flatten(1)).reshape(2, -1, width)
            blocks.append((bending + affine_x[:, None] + affine_row[:, :, None]).permute(1, 2, 0))
        return torch.cat(blocks)[None]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.source)} control points)"


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
        ValueError: an image that is not (B, C, H, W) or is empty.

    Example:
        >>> corners = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 3.0]])
        >>> shift = ThinPlateSpline.fit(corners, corners + torch.tensor([1.0, 0.0]))  # look one pixel to the right
        >>> warped, inside = warp_image(torch.arange(4.0).expand(1, 1, 4, 4), shift)
        >>> [round(value, 4) for value in warped[0, 0, 0].tolist()], inside[0, 0, 0].tolist()
        ([1.0, 2.0, 3.0, 3.0], [1.0, 1.0, 1.0, 0.0])
    """
    check_image(image, channels=None)
    input_size = (image.shape[2], image.shape[3])
    return sample_image(image, spline.grid(size or input_size, input_size=input_size), mode=mode)


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
        ValueError: an image that is not (B, C, H, W) or is empty, or a grid of another form or batch size.

    Example:
        >>> corners = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 3.0]])
        >>> grid = ThinPlateSpline.fit(corners, corners.flip(1)).grid((4, 4))
        >>> image, mask = torch.rand(1, 3, 4, 4), torch.ones(1, 1, 4, 4)
        >>> (transposed, inside), (moved, _) = sample_image(image, grid), sample_image(mask, grid, mode="nearest")
        >>> torch.allclose(transposed, image.mT, atol=1e-5), torch.equal(moved, mask)
        (True, True)
    """
    check_image(image, channels=None)
    batch = image.shape[0]
    if grid.ndim != 4 or grid.shape[3] != 2 or grid.shape[0] not in (1, batch):
        raise ValueError(
            f"grid must be (1, h, w, 2) or ({batch}, h, w, 2) for image {tuple(image.shape)}; got {tuple(grid.shape)}."
        )
    grid = grid.to(image.device)
    # One part in 1e9 of slack: a pixel on the very edge must not fall outside by rounding.
    inside = (grid.abs() <= 1 + 1e-9).all(-1)[:, None].expand(batch, -1, -1, -1)
    half = image.dtype in (torch.float16, torch.bfloat16)
    working = image.float() if half else image
    sampling = grid.to(working.dtype).expand(batch, -1, -1, -1)
    warped = F.grid_sample(working, sampling, mode=mode, padding_mode="border", align_corners=False)
    return warped.to(image.dtype), inside.to(image.dtype)


def _as_points(points: Tensor, name: str) -> Tensor:
    if not isinstance(points, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor (N, 2); got {type(points).__name__}. Use torch.as_tensor.")
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"{name} must be (N, 2) points (x, y); got {tuple(points.shape)}.")
    if not points.isfinite().all():
        raise ValueError(f"{name} must be finite; got NaN or infinite coordinates. Remove those points.")
    return points.double().cpu()  # a 33 × 33 system: not worth a trip to the GPU, and Apple's has no float64


def _check_control_points(source: Tensor, *, exact: bool) -> Tensor:
    """Raise on a degenerate configuration; return the extent, the largest distance from the centre."""
    if len(source) < 3:
        raise DegenerateControlPointsError(f"a spline needs at least 3 control points; got {len(source)}.")
    centred = source - source.mean(0)
    extent: Tensor = torch.linalg.vector_norm(centred, dim=1).max()
    spread = torch.linalg.svdvals(centred.detach())
    if spread[1] <= 1e-6 * spread[0]:
        raise DegenerateControlPointsError(
            f"control points must not all lie on one line; got {len(source)} that do. Add a point off the line."
        )
    if exact:
        distance = torch.cdist(source.detach(), source.detach(), compute_mode="donot_use_mm_for_euclid_dist")
        distance.fill_diagonal_(float("inf"))
        if distance.min() <= 1e-6 * extent:
            first, second = divmod(int(distance.argmin()), len(source))
            raise DegenerateControlPointsError(
                f"control points must be distinct; got {first} and {second} closer than a millionth of the extent. "
                "Remove one, or pass regularization > 0."
            )
    return extent
