import numpy as np
import pytest
import torch

from gatedinpaint.faces import paste, paste_window


def _disc(size: int = 120, radius: float = 30) -> np.ndarray:
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    return x**2 + y**2 < radius**2


def _noise(sigma: float, *, size: int = 240) -> np.ndarray:
    noise = np.random.default_rng(1).normal(0, sigma, (size, size, 1))
    return (150 + noise + [20, 0, -20]).round().clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("grain", [True, False])
@pytest.mark.parametrize("resolution", [0.4, 1.0, 3.7, 12.0])
def test_outside_the_hole_every_byte_stays(resolution: float, grain: bool) -> None:
    photo = _noise(10)
    before = photo.copy()
    hole = _disc(240, 60)
    generated = np.full(photo.shape, 120.0)
    result = paste(photo, generated, hole, resolution=np.float64(resolution), feather=5, grain=grain)
    assert np.array_equal(result[~hole], photo[~hole])
    assert np.array_equal(photo, before)
    assert (result[hole] != photo[hole]).any(axis=1).mean() > 0.9


def test_where_there_is_no_step_the_generated_pixels_arrive_as_they_are() -> None:
    y, x = np.mgrid[:120, :120]
    smooth = np.stack([x + 60, y + 60, 200 - x], -1).astype(np.uint8)
    painted = smooth.astype(np.float32)
    painted[50:70, 50:70] += 30  # drawn well inside the hole: no step at its border
    result = paste(smooth, painted, _disc(), grain=False)
    assert np.array_equal(result, painted.astype(np.uint8))


def test_a_step_closes_at_the_border_and_fades_inside() -> None:
    photo = np.full((120, 120, 3), 140, np.uint8)
    hole = _disc()
    result = paste(photo, np.full(photo.shape, 110.0), hole, grain=False)[60, :, 0].astype(float)
    inside = np.flatnonzero(hole[60])
    # At distance s the correction is 30 exp(−s / λ), λ = sqrt(area) / 6.
    reach = np.sqrt(hole.sum()) / 6
    depth = np.minimum(inside - inside[0], inside[-1] - inside) + 1
    np.testing.assert_allclose(result[inside], 110 + 30 * np.exp(-depth / reach), atol=1.5)


def test_no_more_than_a_step_of_48_is_carried_inside() -> None:
    photo, hole = np.full((120, 120, 3), 220, np.uint8), _disc()
    result = paste(photo, np.full(photo.shape, 80.0), hole, grain=False)
    assert 80 + 40 < result[hole].max() <= 80 + 48


def test_a_coarse_correction_lies_where_the_step_is() -> None:
    photo, hole = np.full((240, 240, 3), 140, np.uint8), _disc(240, 90)
    result = paste(photo, np.full(photo.shape, 100.0), hole, resolution=8.0, grain=False).astype(int)
    for turned in (result.swapaxes(0, 1), result[::-1], result[:, ::-1]):
        assert np.abs(turned - result).max() <= 1


def test_one_bad_stretch_of_border_does_not_tint_the_rest() -> None:
    photo = np.full((120, 120, 3), 140, np.uint8)
    photo[:, :32] = [20, 20, 200]  # blue cloth touches the hole on its left
    result = paste(photo, np.full(photo.shape, 140.0), _disc(), grain=False).astype(int)
    assert np.abs(result[60, 45:88] - 140).max() <= 6


def test_the_photo_fades_over_the_feather() -> None:
    photo = np.full((40, 41, 3), 200, np.uint8)
    hole = np.zeros((40, 41), bool)
    hole[:, 20:] = True
    generated = np.full(photo.shape, 200.0)
    generated[:, 20:] = 100
    seamless = paste(photo, generated, hole, grain=False)
    feathered = paste(photo, generated, hole, feather=3, grain=False)
    np.testing.assert_array_equal(seamless[20, 20:30, 0], 100)
    np.testing.assert_array_equal(feathered[20, 18:26, 0], [200, 200, 175, 150, 125, 100, 100, 100])


@pytest.mark.parametrize("resolution", [2.0, 5.0])
def test_grain_goes_on_in_the_hole(resolution: float) -> None:
    photo, hole = _noise(8), _disc(240, 60)
    flat = np.full(photo.shape, 150.0) + [20, 0, -20]
    result = paste(photo, flat, hole, resolution=resolution).astype(float)
    core = _disc(240, 50)
    assert result[core].std(0) == pytest.approx(photo[~hole].astype(float).std(0), rel=0.15)
    np.testing.assert_allclose(result[core].mean(0), flat[0, 0], atol=1.5)
    assert np.array_equal(paste(photo, flat, hole, resolution=resolution), result)
    assert not np.array_equal(paste(photo, flat, hole, resolution=resolution, seed=1), result)


@pytest.mark.parametrize("resolution", [2.0, 4.0])
@pytest.mark.parametrize("own", [4.0, 8.0, 14.0])
def test_a_fill_with_grain_of_its_own_gets_only_what_it_lacks(resolution: float, own: float) -> None:
    photo, hole = _noise(8), _disc(240, 60)
    texture = np.random.default_rng(7).normal(0, own, (240, 240, 1))
    result = paste(photo, 150 + texture + [20, 0, -20], hole, resolution=resolution).astype(float)
    contrast = result[_disc(240, 50)].std(0)
    # Squares add up: √(own² + (8² − own²)). Added noise comes out a tenth weaker, as calm places are the measure.
    least = 0.85 if own < 8 else 0.95
    assert (contrast > least * max(own, 8)).all() and (contrast < 1.06 * max(own, 8)).all()


def test_a_clean_photo_gets_no_grain_and_what_is_behind_the_face_does_not_count() -> None:
    flat = np.full((240, 240, 3), 150.0) + [20, 0, -20]
    hole = _disc(240, 60)
    assert np.array_equal(paste(flat.astype(np.uint8), flat, hole, resolution=4), flat)
    street = np.random.default_rng(2).integers(0, 255, (240, 240, 3)).astype(np.uint8)
    street[_disc(240, 90)] = flat[0, 0]  # a noisy background around a smooth face
    inner = paste(street, flat, hole, resolution=4)[_disc(240, 50)]
    assert (inner - flat[0, 0]).std() < 1.5  # the street's own deviation is 74


def test_octaves_that_the_generator_draws_get_no_grain() -> None:
    photo, hole = _noise(8), _disc(240, 60)
    flat = np.full(photo.shape, 150.0) + [20, 0, -20]
    core = _disc(240, 45)
    by_resolution = [paste(photo, flat, hole, resolution=r)[core].std() for r in (0.5, 1.0, 2.0, 4.0)]
    without = paste(photo, flat, hole, grain=False)[core].std()
    assert by_resolution[0] == by_resolution[1] == without
    assert by_resolution[2] < by_resolution[3]


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (16, 17)])
def test_any_size_and_a_hole_that_is_everything(shape: tuple[int, int]) -> None:
    photo = np.full((*shape, 3), 90, np.uint8)
    generated = np.full((*shape, 3), 120.0)
    assert np.array_equal(paste(photo, generated, np.ones(shape, bool), resolution=4), generated)
    assert np.array_equal(paste(photo, generated, np.zeros(shape, bool)), photo)


def test_bad_input_is_refused() -> None:
    photo, hole = np.zeros((20, 30, 3), np.uint8), np.ones((20, 30), bool)
    generated = np.zeros((20, 30, 3))
    with pytest.raises(TypeError, match="photo must be uint8"):
        paste(photo / 2, generated, hole)
    with pytest.raises(TypeError, match="hole must be bool; got float64. Use hole > 0.5"):
        paste(photo, generated, hole * 1.0)
    with pytest.raises(ValueError, match=r"hole must be \(H, W\) = \(20, 30\) as the photo; got \(20, 29\)"):
        paste(photo, generated, hole[:, 1:])
    with pytest.raises(ValueError, match="generated must be"):
        paste(photo, generated[..., 0], hole)
    with pytest.raises(ValueError, match="resolution must be more than 0"):
        paste(photo, generated, hole, resolution=0)
    with pytest.raises(ValueError, match="feather must be 0 or more"):
        paste(photo, generated, hole, feather=-1)
    with pytest.raises(ValueError, match="must be finite in the hole"):
        paste(photo, generated + np.nan, hole)
    for low, high in ((0.1, 1.0), (-1.0, 0.9), (-3.0, 200.0)):
        drawn = np.linspace(low, high, generated.size).reshape(generated.shape)
        with pytest.raises(ValueError, match=f"in 0…255; got values from {low:.3g} to {high:.3g}. Use image_to_photo"):
            paste(photo, drawn, hole)
    with pytest.raises(TypeError, match="hole must be a numpy array .* of bool; got list"):
        paste(photo, generated, hole.tolist())
    with pytest.raises(TypeError, match=r"got Tensor\. Pass \(mask\[0, 0\] > 0\.5\)\.numpy\(\) of a mask"):
        paste(photo, generated, torch.from_numpy(hole)[None, None].float())
    with pytest.raises(TypeError, match="generated must be a numpy array .*; got NoneType"):
        paste(photo, None, hole)  # type: ignore[arg-type]


def test_a_window_needs_a_hole_and_a_resolution() -> None:
    with pytest.raises(ValueError, match="hole must mark at least one pixel"):
        paste_window(np.zeros((20, 30), bool))
    with pytest.raises(ValueError, match="resolution must be more than 0 photo pixels; got nan"):
        paste_window(np.ones((20, 30), bool), float("nan"))
