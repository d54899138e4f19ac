"""Thin-plate splines: the smoothest map of the plane that sends one set of points to another."""

import math

import torch
from torch import Tensor

from gatedinpaint._checks import check_size

# Pairs of a point and a control point evaluated at once: the table stays in the processor's cache.
_BLOCK = 2**17


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

    Build it with :meth:`fit`; call it with points. Everything is float64 and on the CPU, whatever the type and device
    of the arguments.

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
            TypeError: what is not a tensor.
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
        extent = _check_control_points(source, regularization)

        # The polynomial is fitted in centred unit coordinates: pixels up to 4,000 beside the constant 1 would cost
        # digits.
        count, centre = len(source), source.mean(0)
        polynomial = torch.cat([(source - centre) / extent, source.new_ones(count, 1)], 1)
        system = source.new_zeros(count + 3, count + 3)
        system[:count, :count] = _kernel(source, source) + regularization * torch.eye(
            count, dtype=source.dtype, device=source.device
        )
        system[:count, count:] = polynomial
        system[count:, :count] = polynomial.T
        solution = torch.linalg.solve(system, torch.cat([target, target.new_zeros(3, 2)]))

        linear = solution[count : count + 2] / extent
        constant = solution[count + 2 :] - centre[None] @ linear
        return cls(source, solution[:count], torch.cat([linear, constant]))

    def __call__(self, points: Tensor) -> Tensor:
        """Map points (M, 2) to float64 (M, 2).

        Raises:
            TypeError: what is not a tensor.
            ValueError: points that are not finite (M, 2).
        """
        points = _as_points(points, "points")
        blocks = torch.split(points, max(_BLOCK // len(self.source), 1))
        bending = torch.cat([_kernel(block, self.source) @ self.weights for block in blocks])
        return points @ self.affine[:2] + self.affine[2] + bending

    def jacobian(self, points: Tensor) -> Tensor:
        r"""The derivative of the map at points (M, 2): float64 (M, 2, 2), entry (a, b) is ∂fₐ / ∂x_b.

        Its determinant is the factor by which areas grow there; where it is 0 or less, the map folds over.

        .. math:: J(x) = A_{:2}^\top + \sum_i w_i\, (2 \log r_i + 1)\, (x - \mathrm{source}_i)^\top

        Raises:
            TypeError: what is not a tensor.
            ValueError: points that are not finite (M, 2).

        Example:
            >>> corners = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
            >>> wider = ThinPlateSpline.fit(corners, corners * torch.tensor([3.0, 1.0]))
            >>> [round(value, 6) for value in wider.jacobian(corners).det().tolist()]
            [3.0, 3.0, 3.0]
        """
        blocks = torch.split(_as_points(points, "points"), max(_BLOCK // len(self.source), 1))
        return torch.cat([self._jacobian(block) for block in blocks])

    def _jacobian(self, points: Tensor) -> Tensor:
        # Sum over the control points first, by one matrix product: slope · w · (x − source), multiplied out.
        centre = self.source.mean(0)
        points, source = points - centre, self.source - centre
        slope = _safe_log((points[:, None] - source).square().sum(-1)) + 1  # where r = 0 the difference is 0 too
        products = self.weights[:, :, None] * source[:, None]
        sums = slope @ torch.cat([self.weights, products.flatten(1)], 1)
        bending: Tensor = sums[:, :2, None] * points[:, None] - sums[:, 2:].view(-1, 2, 2)
        return self.affine[:2].T + bending

    def grid(self, size: tuple[int, int], *, input_size: tuple[int, int] | None = None, exact: bool = False) -> Tensor:
        """Sampling grid (1, H, W, 2) for :func:`torch.nn.functional.grid_sample` with ``align_corners=False``.

        Entry (y, x) holds f(x, y), where pixel centres lie at integers, in the normalised coordinates of an image of
        ``input_size`` (default: ``size``): −1 and 1 are the outer edges of its first and last pixel. Float64, and
        several times faster than to call the spline with every pixel.

        Args:
            size: (height, width) of the output.
            input_size: (height, width) of the image that will be sampled.
            exact: evaluate the kernels in float64 always. Otherwise they are in float32 where that moves no
                coordinate by a thousandth of a pixel and no gradient is wanted, which takes half the time.

        Raises:
            TypeError: a size that is not made of whole numbers.
            ValueError: a size that is empty or not (height, width).
        """
        input_size = size if input_size is None else input_size
        check_size(size)
        check_size(input_size, name="input_size")
        (height, width), (input_height, input_width) = size, input_size
        # Pixel p of n stands at (2 p + 1) / n - 1.
        scale = self.affine.new_tensor([2.0 / input_width, 2.0 / input_height])
        affine = scale * self.affine + scale.new_tensor([[0.0], [0.0], [1.0]]) * (0.5 * scale - 1)

        # In units of the extent e no number is large. U(e r) = e² (U(r) + r² log e), and because the weights are
        # orthogonal to all affine functions, the second part adds up to a constant.
        x, y = (torch.arange(side, device=self.source.device) for side in (width, height))
        centre = self.source.mean(0)
        extent = torch.linalg.vector_norm(self.source - centre, dim=1).max()
        control, half_weights = (self.source - centre) / extent, 0.5 * extent.square() * self.weights * scale
        constant = affine[2] + 2 * extent.log() * (control.square().sum(1) @ half_weights)
        affine_x, affine_y = affine[0][:, None] * x, affine[1][:, None] * y + constant[:, None]  # (2, W), (2, H)

        # On a grid r² is a sum of what belongs to the column and what belongs to the row. The addend keeps the
        # logarithm finite at a control point, where U then is 0 to 28 digits.
        columns = ((x - centre[0]) / extent - control[:, :1]).square()  # (N, W)
        rows = ((y - centre[1]) / extent - control[:, 1:]).square() + 1e-30  # (N, H)
        if not exact and _float32_is_enough(half_weights / scale, columns.amax(1) + rows.amax(1)):
            columns, rows, half_weights = columns.float(), rows.float(), half_weights.float()
        blocks = []
        step = max(_BLOCK // columns.numel(), 1)
        for row in torch.split(rows, step, 1):
            squared = row[:, :, None] + columns[:, None]
            kernels = squared.log() * squared
            blocks.append((half_weights.T @ kernels.flatten(1)).reshape(2, -1, width))
        xy = torch.cat(blocks, 1) + affine_x[:, None]
        return xy.add_(affine_y[:, :, None]).permute(1, 2, 0).contiguous()[None]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.source)} control points)"


def _float32_is_enough(half_weights: Tensor, largest: Tensor) -> bool:
    """Is Σ wᵢ r² log r² in pixels, with r² up to ``largest`` (N,), right to 1e-3 when it is computed in float32?"""
    if torch.is_grad_enabled() and half_weights.requires_grad:
        return False
    kernels = torch.maximum(largest * largest.log().abs(), largest.new_tensor(1 / math.e))
    # Over 5 to 100 random points and images of 128 to 1024 pixels the error was 0.4 to 1.3 times this.
    return float((half_weights.abs().T @ kernels).max()) * torch.finfo(torch.float32).eps < 0.7e-3


def _as_points(points: Tensor, name: str) -> Tensor:
    if not isinstance(points, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor (N, 2); got {type(points).__name__}. Use torch.as_tensor.")
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"{name} must be (N, 2) points (x, y); got {tuple(points.shape)}.")
    if not points.isfinite().all():
        raise ValueError(f"{name} must be finite; got NaN or infinite coordinates. Remove those points.")
    return points.double().cpu()  # a 33 × 33 system: not worth a trip to the GPU, and Apple's has no float64


def _check_control_points(source: Tensor, regularization: float) -> Tensor:
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
    if regularization < 1e-14 * extent**2:  # too little to tell coincident points apart
        distance = torch.cdist(source.detach(), source.detach(), compute_mode="donot_use_mm_for_euclid_dist")
        distance.fill_diagonal_(float("inf"))
        if distance.min() <= 1e-6 * extent:
            first, second = divmod(int(distance.argmin()), len(source))
            raise DegenerateControlPointsError(
                f"control points must be distinct; got {first} and {second} closer than a millionth of the extent. "
                "Remove one, or pass regularization > 0."
            )
    return extent
