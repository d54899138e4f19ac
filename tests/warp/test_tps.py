from typing import Any

import pytest
import torch
from scipy.interpolate import RBFInterpolator
from torch.utils._python_dispatch import TorchDispatchMode

from gatedinpaint.warp import DegenerateControlPointsError, ThinPlateSpline, sample_image, warp_image


def random_points(count: int, *, seed: int, scale: float = 256.0) -> torch.Tensor:
    return torch.rand(count, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * scale


@pytest.mark.parametrize("count", [3, 4, 30, 100])
@pytest.mark.parametrize("regularization", [0.0, 10.0])
@pytest.mark.parametrize("scale", [1.0, 256.0, 4000.0])
def test_equals_scipy(count: int, regularization: float, scale: float) -> None:
    source, target = random_points(count, seed=0, scale=scale), random_points(count, seed=1, scale=scale)
    query = random_points(500, seed=2, scale=scale) * 1.5 - 0.25 * scale
    ours = ThinPlateSpline.fit(source, target, regularization=regularization)(query)
    scipy = RBFInterpolator(source, target, kernel="thin_plate_spline", degree=1, smoothing=regularization)(query)
    torch.testing.assert_close(ours / scale, torch.from_numpy(scipy) / scale, rtol=0, atol=1e-9)


def test_interpolates_the_control_points() -> None:
    source, target = random_points(30, seed=0), random_points(30, seed=1)
    torch.testing.assert_close(ThinPlateSpline.fit(source, target)(source), target, rtol=0, atol=1e-8)


def test_an_affine_map_is_reproduced_without_bending() -> None:
    source = random_points(10, seed=0)
    matrix = torch.tensor([[0.5, -0.2], [0.3, 2.0]], dtype=torch.float64)
    spline = ThinPlateSpline.fit(source, source @ matrix + 7.0)
    torch.testing.assert_close(spline.weights, torch.zeros_like(spline.weights), rtol=0, atol=1e-9)
    query = random_points(50, seed=3)
    torch.testing.assert_close(spline(query), query @ matrix + 7.0, rtol=0, atol=1e-7)


def test_large_regularization_tends_to_the_least_squares_affine_map() -> None:
    source, target = random_points(20, seed=0), random_points(20, seed=1)
    design = torch.cat([source, torch.ones(20, 1, dtype=torch.float64)], 1)
    affine = torch.linalg.lstsq(design, target).solution
    torch.testing.assert_close(
        ThinPlateSpline.fit(source, target, regularization=1e13)(source), design @ affine, rtol=0, atol=1e-4
    )


def test_gradient_reaches_the_control_points() -> None:
    source, target = random_points(5, seed=0).requires_grad_(), random_points(5, seed=1).requires_grad_()
    query = random_points(4, seed=2)
    assert torch.autograd.gradcheck(lambda s, t: ThinPlateSpline.fit(s, t)(query), (source, target), atol=1e-4)


def test_gradient_is_finite_where_a_query_meets_a_control_point() -> None:
    source = random_points(5, seed=0)
    query = source.clone().requires_grad_()
    ThinPlateSpline.fit(source, random_points(5, seed=1))(query).sum().backward()
    assert query.grad is not None and query.grad.isfinite().all()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([[0.0, 0.0], [1.0, 0.0]], "at least 3"),
        ([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [5.0, 5.0]], "one line"),
        ([[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]], "one line"),
        ([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]], "distinct; got 2 and 3"),
        ([[0.0, 0.0], [256.0, 0.0], [0.0, 256.0], [1e-4, 256.0]], "distinct; got 2 and 3"),
    ],
)
def test_degenerate_points_are_refused(source: list[list[float]], message: str) -> None:
    points = torch.tensor(source, dtype=torch.float64)
    with pytest.raises(DegenerateControlPointsError, match=message):
        ThinPlateSpline.fit(points, points)


def test_too_little_regularization_does_not_hide_coincident_points() -> None:
    source = torch.tensor([[0.0, 0.0], [0.0, 9.0], [9.0, 0.0], [10.0, 10.0], [10.0, 10.0]])
    target = source + torch.tensor([0.0, 0.0, 0.0, 0.0, 1.0])[:, None]
    with pytest.raises(DegenerateControlPointsError, match="got 3 and 4"):
        ThinPlateSpline.fit(source, target, regularization=1e-300)
    spline = ThinPlateSpline.fit(source, target, regularization=1e-10)
    torch.testing.assert_close(spline(source)[3:], torch.full((2, 2), 10.5).double(), rtol=0, atol=1e-6)


def test_regularization_allows_coincident_points_and_averages_them() -> None:
    source = torch.tensor([[0.0, 0.0], [8.0, 0.0], [0.0, 8.0], [0.0, 8.0]])
    target = torch.tensor([[0.0, 0.0], [8.0, 0.0], [0.0, 7.0], [0.0, 9.0]])
    mapped = ThinPlateSpline.fit(source, target, regularization=1e-6)(torch.tensor([[0.0, 8.0]]))
    torch.testing.assert_close(mapped, torch.tensor([[0.0, 8.0]], dtype=torch.float64), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("source", "target", "options", "message"),
    [
        (torch.zeros(4, 3), torch.zeros(4, 3), {}, r"\(N, 2\)"),
        (torch.rand(4, 2), torch.rand(5, 2), {}, "same number of points; got 4 and 5"),
        (torch.full((4, 2), torch.nan), torch.rand(4, 2), {}, "finite"),
        (torch.rand(4, 2), torch.rand(4, 2), {"regularization": -1.0}, "0 or more; got -1.0"),
        (torch.rand(4, 2), torch.rand(4, 2), {"regularization": torch.inf}, "finite and 0 or more; got inf"),
        (torch.rand(4, 2), torch.rand(4, 2), {"regularization": torch.nan}, "finite and 0 or more; got nan"),
    ],
)
def test_bad_arguments(source: torch.Tensor, target: torch.Tensor, options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ThinPlateSpline.fit(source, target, **options)


def all_pixels(height: int, width: int) -> torch.Tensor:
    return torch.tensor([(x, y) for y in range(height) for x in range(width)], dtype=torch.float64)


def in_pixels(grid: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    height, width = size
    return (grid.reshape(-1, 2) + 1) * torch.tensor([width / 2, height / 2]) - 0.5


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (37, 53), (130, 200)])  # the last takes several blocks
@pytest.mark.parametrize("input_size", [None, (64, 31)])
def test_grid_is_scipys_map_of_all_pixels(size: tuple[int, int], input_size: tuple[int, int] | None) -> None:
    source, target = random_points(30, seed=0, scale=60.0), random_points(30, seed=1, scale=60.0)
    source[0] = torch.tensor([0.0, 0.0])  # a control point on a pixel
    grid = ThinPlateSpline.fit(source, target).grid(size, input_size=input_size, exact=True)
    assert grid.shape == (1, *size, 2)
    assert grid.dtype == torch.float64
    expected = RBFInterpolator(source, target, kernel="thin_plate_spline", degree=1)(all_pixels(*size))
    torch.testing.assert_close(in_pixels(grid, input_size or size), torch.from_numpy(expected), rtol=0, atol=1e-8)


@pytest.mark.parametrize("count", [3, 10, 30, 100])
@pytest.mark.parametrize("bending", [0.002, 0.02, 0.2])  # of the size; beyond what float32 can hold too
@pytest.mark.parametrize("seed", [0, 1])
def test_fast_grid_is_right_to_a_thousandth_of_a_pixel(count: int, bending: float, seed: int) -> None:
    source = random_points(count, seed=seed, scale=512.0)
    noise = torch.randn(count, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    spline, size = ThinPlateSpline.fit(source, source + 512 * bending * noise), (96, 512)
    fast, exact = (in_pixels(spline.grid(size, exact=exact), size) for exact in (False, True))
    torch.testing.assert_close(fast, exact, rtol=0, atol=1e-3)


def test_moderate_warps_take_the_fast_way() -> None:
    y, x = torch.meshgrid(torch.arange(5.0), torch.arange(6.0), indexing="ij")
    source = 80 * torch.stack([x, y], -1).reshape(-1, 2)
    spline = ThinPlateSpline.fit(source, source + 5 * torch.randn(30, 2, generator=torch.Generator().manual_seed(0)))
    assert not torch.equal(spline.grid((400, 480)), spline.grid((400, 480), exact=True))


def test_grid_has_the_gradient_of_calling_the_spline() -> None:
    source, target = random_points(6, seed=0, scale=8.0), random_points(6, seed=1, scale=8.0)
    source[0] = torch.tensor([2.0, 3.0])  # a control point on a pixel
    points, down = all_pixels(7, 5), random_points(35, seed=2, scale=1.0)

    def gradients(mapped: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return torch.autograd.grad((mapped.reshape(-1, 2) * down).sum(), (source, target))

    source.requires_grad_(), target.requires_grad_()
    grid = ThinPlateSpline.fit(source, target).grid((7, 5))
    expected = gradients(
        (ThinPlateSpline.fit(source, target)(points) + 0.5) * torch.tensor([2 / 5, 2 / 7], dtype=torch.float64)
    )
    assert all(gradient.abs().max() > 0.1 for gradient in expected)
    torch.testing.assert_close(gradients(grid), expected, rtol=1e-9, atol=1e-9)


def test_jacobian_is_the_derivative() -> None:
    source, target = random_points(20, seed=0), random_points(20, seed=1)
    spline, points = ThinPlateSpline.fit(source, target), random_points(9, seed=2)
    jacobian = spline.jacobian(points)
    assert jacobian.shape == (9, 2, 2)
    for point, matrix in zip(points, jacobian, strict=True):
        expected = torch.autograd.functional.jacobian(lambda p: spline(p[None])[0], point)
        torch.testing.assert_close(matrix, expected, rtol=1e-10, atol=1e-10)
    assert spline.jacobian(source).isfinite().all()


def test_jacobian_of_an_affine_map_is_its_matrix() -> None:
    source = random_points(5, seed=0)
    matrix = torch.tensor([[0.5, -0.2], [0.3, 2.0]], dtype=torch.float64)
    jacobian = ThinPlateSpline.fit(source, source @ matrix + 7.0).jacobian(random_points(3, seed=1))
    torch.testing.assert_close(jacobian, matrix.T.expand(3, 2, 2), rtol=0, atol=1e-9)


def test_jacobian_shows_where_the_map_folds_over() -> None:
    square = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0], [4.0, 5.0], [6.0, 5.0]])
    crossed = square.clone()
    crossed[4:, 0] = torch.tensor([8.0, 2.0])  # left goes right and right goes left
    folds = ThinPlateSpline.fit(square, crossed).jacobian(torch.tensor([[5.0, 5.0]])).det()
    keeps = ThinPlateSpline.fit(square, square).jacobian(torch.tensor([[5.0, 5.0]])).det()
    assert folds.item() < 0
    assert keeps.item() == pytest.approx(1.0, abs=1e-9)


def test_one_grid_warps_several_tensors() -> None:
    source, target = random_points(8, seed=0, scale=24.0), random_points(8, seed=1, scale=24.0)
    spline, image = ThinPlateSpline.fit(source, target), torch.rand(2, 3, 20, 24)
    grid = spline.grid((13, 17), input_size=(20, 24))
    for mode in ("bilinear", "nearest"):
        expected, expected_inside = warp_image(image, spline, size=(13, 17), mode=mode)
        warped, inside = sample_image(image, grid, mode=mode)
        assert torch.equal(warped, expected)
        assert torch.equal(inside, expected_inside)
    other = ThinPlateSpline.fit(target, source).grid((13, 17), input_size=(20, 24))
    both, _ = sample_image(image, torch.cat([grid, other]))
    torch.testing.assert_close(both[1:], sample_image(image[1:], other)[0])


def test_bad_grids() -> None:
    image = torch.rand(2, 3, 8, 8)
    for shape in [(8, 8, 2), (3, 8, 8, 2), (1, 8, 8, 3)]:
        with pytest.raises(ValueError, match=r"grid must be \(1, h, w, 2\) or \(2, h, w, 2\)"):
            sample_image(image, torch.zeros(shape))


def test_identity_warp_returns_the_image() -> None:
    corners = torch.tensor([[0.0, 0.0], [9.0, 0.0], [0.0, 6.0], [9.0, 6.0]])
    image = torch.rand(2, 3, 7, 10)
    warped, inside = warp_image(image, ThinPlateSpline.fit(corners, corners))
    torch.testing.assert_close(warped, image, rtol=0, atol=1e-5)
    assert inside.shape == (2, 1, 7, 10)
    assert inside.all()


def test_warp_moves_a_point_to_its_control_point_and_reports_what_lies_outside() -> None:
    image = torch.zeros(1, 1, 32, 48)
    image[0, 0, 20, 30] = 1.0
    output = torch.tensor([[0.0, 0.0], [15.0, 0.0], [0.0, 15.0], [10.0, 5.0]])
    place = torch.tensor([[0.0, 0.0], [47.0, 0.0], [0.0, 31.0], [30.0, 20.0]])
    warped, inside = warp_image(image, ThinPlateSpline.fit(output, place), size=(16, 16))
    assert warped.shape == (1, 1, 16, 16)
    assert warped[0, 0, 5, 10] == pytest.approx(1.0, abs=1e-4)
    shifted, inside = warp_image(image, ThinPlateSpline.fit(output, output - 3.0))
    assert inside[0, 0].sum() == (32 - 3) * (48 - 3)
    assert shifted.shape == image.shape


@pytest.mark.parametrize(
    ("mode", "shift", "expected"),
    [
        ("nearest", 0.4, [0, 0, 0, 1, 0, 0, 0]),
        ("bilinear", 0.5, [0, 0, 0.5, 0.5, 0, 0, 0]),
        ("bicubic", 0.5, [0, -3 / 32, 19 / 32, 19 / 32, -3 / 32, 0, 0]),  # Keys' kernel with a = -3/4
    ],
)
def test_how_values_between_pixels_are_taken(mode: str, shift: float, expected: list[float]) -> None:
    image = torch.zeros(1, 1, 7, 7, dtype=torch.float64)
    image[..., 3] = 1.0
    corners = torch.tensor([[0.0, 0.0], [6.0, 0.0], [0.0, 6.0]])
    warped, _ = warp_image(image, ThinPlateSpline.fit(corners, corners + torch.tensor([shift, 0.0])), mode=mode)
    torch.testing.assert_close(warped[0, 0, 3], torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [(16, 16), (30, 40), (37, 53), (100, 60)])
@pytest.mark.parametrize("shift", [-0.5, 0.5])
def test_the_outer_edge_of_the_border_is_inside_whatever_was_rounded(size: tuple[int, int], shift: float) -> None:
    bottom, right = size[0] - 1.0, size[1] - 1.0
    corners = torch.tensor([[0.0, 0.0], [right, 0.0], [0.0, bottom], [right, bottom]])
    _, inside = warp_image(torch.zeros(1, 1, *size), ThinPlateSpline.fit(corners, corners + shift))
    assert inside.all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_warp_keeps_the_dtype(dtype: torch.dtype) -> None:
    corners = torch.tensor([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]])
    spline, image = ThinPlateSpline.fit(corners, corners + 0.3), torch.rand(1, 3, 10, 200).to(dtype)
    warped, inside = warp_image(image, spline)
    assert warped.dtype == inside.dtype == dtype
    # In half precision a place near the border would be off by a twentieth of a pixel.
    expected, _ = warp_image(image.double(), spline)
    torch.testing.assert_close(warped.double(), expected, rtol=0, atol=max(torch.finfo(dtype).eps, 2e-5))


class WithoutFloat64(TorchDispatchMode):
    """ "meta" stands for a device that has no float64, such as Apple's GPU."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **kwargs or {})
        if isinstance(result, torch.Tensor) and result.is_meta and result.dtype == torch.float64:
            raise TypeError(f"no float64 on this device: {function}")
        return result


def test_an_image_is_warped_on_a_device_without_float64() -> None:
    corners = torch.tensor([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]])
    spline = ThinPlateSpline.fit(corners, corners.flip(1))
    with WithoutFloat64():
        warped, inside = warp_image(torch.zeros(2, 3, 10, 10, device="meta"), spline, size=(5, 6))
    assert (warped.shape, inside.shape) == ((2, 3, 5, 6), (2, 1, 5, 6))
    assert {(y.device.type, y.dtype) for y in (warped, inside)} == {("meta", torch.float32)}


def test_warp_refuses_what_is_not_an_image() -> None:
    corners = torch.tensor([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]])
    with pytest.raises(ValueError, match=r"pass image\[None\]"):
        warp_image(torch.rand(3, 8, 8), ThinPlateSpline.fit(corners, corners))


def test_bad_sizes_and_modes() -> None:
    image, points = torch.zeros(1, 1, 4, 4), torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 3.0]])
    spline = ThinPlateSpline.fit(points, points)
    for size in (4, (4.0, 4), "44"):
        with pytest.raises(TypeError, match=r"^size must be \(height, width\) in whole numbers; got"):
            spline.grid(size)  # type: ignore[arg-type]
    for size in ((0, 4), (), (4, 4, 4)):
        with pytest.raises(ValueError, match=r"^size must be \(height, width\), each 1 or more; got \("):
            warp_image(image, spline, size=size)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^input_size must be \(height, width\), each 1 or more; got \(4, 0\)"):
        spline.grid((4, 4), input_size=(4, 0))
    with pytest.raises(ValueError, match=r"""^mode must be "bilinear", "bicubic" or "nearest"; got 'linear'"""):
        warp_image(image, spline, mode="linear")  # type: ignore[arg-type]
