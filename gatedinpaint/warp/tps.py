"""Thin-plate splines: the smoothest map of the plane that sends one set of points to another."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from gatedinpaint._checks import check_image

# Points evaluated at once: keeps the (points, control points) table within a few MB.
_BLOCK = 65_536


class DegenerateControlPointsError(ValueError):
    """The control points do not determine a thin-plate spline: too few, coincident, or on one line."""


def _kernel(points: Tensor, control: Tensor) -> Tensor:
    """U(r) = r² log r between every point (M, 2) and every control point (N, 2); U(0) = 0."""
    difference = points[:, None] - control
    squared = difference.square().sum(-1)
    # log of 0 would be -inf and its gradient NaN; where r² = 0 the log is taken of 1 instead, which gives U = 0.
    return 0.5 * squared * torch.where(squared > 0, squared, 1.0).log()


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
        affine = points @ self.affine[:2] + self.affine[2]
        return affine + torch.cat([_kernel(block, self.source) @ self.weights for block in torch.split(points, _BLOCK)])

    def grid(self, size: tuple[int, int], *, input_size: tuple[int, int] | None = None) -> Tensor:
        """Sampling grid (1, H, W, 2) for :func:`torch.nn.functional.grid_sample` with ``align_corners=False``.

        Entry (y, x) holds f(x, y), where pixel centres lie at integers, in the normalised coordinates of an image of
        ``input_size`` (default: ``size``): −1 and 1 are the outer edges of its first and last pixel.

        Args:
            size: (height, width) of the output.
            input_size: (height, width) of the image that will be sampled.
        """
        height, width = size
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        mapped = self(torch.stack([x, y], -1).reshape(-1, 2).double()).reshape(1, height, width, 2)
        input_height, input_width = input_size or size
        return (mapped + 0.5) * (2.0 / mapped.new_tensor([input_width, input_height])) - 1.0

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
    grid = spline.grid(size or (image.shape[2], image.shape[3]), input_size=(image.shape[2], image.shape[3]))
    grid = grid.to(image.device)
    # One part in 1e9 of slack: a pixel on the very edge must not fall outside by rounding.
    inside = (grid.abs() <= 1 + 1e-9).all(-1)[:, None].expand(image.shape[0], -1, -1, -1)
    half = image.dtype in (torch.float16, torch.bfloat16)
    working = image.float() if half else image
    sampling = grid.to(working.dtype).expand(image.shape[0], -1, -1, -1)
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
