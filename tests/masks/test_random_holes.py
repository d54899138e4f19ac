import numpy as np
import pytest
import torch
from scipy import ndimage

from gatedinpaint import box_mask, free_form_mask, irregular_mask

DRAW = [box_mask, free_form_mask, irregular_mask]
SIZES = [(1, 1), (1, 9), (2, 2), (3, 40), (17, 5), (33, 47), (128, 96)]
RATIOS = [0.0, 0.001, 0.03, 0.25, 0.5, 0.77, 0.97, 1.0]


def boxes(mask: torch.Tensor) -> list[tuple[int, int]]:
    """Height and width of the smallest box around each hole."""
    found = (ndimage.find_objects(hole.int().numpy())[0] for hole in mask[:, 0])
    return [(rows.stop - rows.start, columns.stop - columns.start) for rows, columns in found]


@pytest.mark.parametrize("draw", DRAW)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("ratio", RATIOS)
def test_area_is_the_wanted_one(draw, size, ratio):
    mask = draw(size, hole_ratio=ratio, seed=0, batch_size=3)
    assert mask.shape == (3, 1, *size)
    assert mask.dtype == torch.float32
    assert ((mask == 0) | (mask == 1)).all()
    wanted = round(ratio * size[0] * size[1])
    for area, hole in zip(mask.sum(dim=(1, 2, 3)).tolist(), mask, strict=True):
        slack = min(boxes(hole[None])[0]) / 2 if draw is box_mask and area > 0 else 0
        assert abs(area - wanted) <= slack


def test_box_is_near_every_area_in_every_small_frame():
    for height in range(1, 11):
        for width in range(1, 11):
            for area in range(1, height * width + 1):
                mask = box_mask((height, width), hole_ratio=area / (height * width), seed=area)
                ((box_height, box_width),) = boxes(mask)
                assert mask.sum() == box_height * box_width  # a full rectangle
                assert 2 * abs(box_height * box_width - area) <= min(box_height, box_width)


def test_boxes_have_the_aspects_asked_for_and_are_everywhere():
    mask = box_mask((64, 64), hole_ratio=0.1, seed=1, batch_size=300, max_aspect=3.0)
    aspects = np.array([height / width for height, width in boxes(mask)])
    assert aspects.max() < 3.3
    assert aspects.min() > 1 / 3.3
    assert (aspects > 2).any()
    assert (aspects < 0.5).any()
    assert (mask.amax(dim=(0, 2)) == 1).all()
    assert (mask.amax(dim=(0, 3)) == 1).all()
    squares = box_mask((64, 64), hole_ratio=0.1, seed=1, batch_size=20, max_aspect=1.0)
    assert all(abs(height - width) <= 1 for height, width in boxes(squares))


@pytest.mark.parametrize("draw", DRAW)
def test_same_seed_same_mask_and_no_other(draw):
    def mask(seed, batch_size=1):
        return draw((40, 32), hole_ratio=0.3, seed=seed, batch_size=batch_size)

    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = mask(5, batch_size=4)
    assert torch.equal(first, mask(5, batch_size=4))
    assert torch.equal(first[:1], mask(5))
    assert torch.equal(mask([1, 2, 3]), mask((1, 2, 3)))
    assert torch.equal(mask(np.int64(5)), mask(5))
    drawn = [mask(seed) for seed in (5, 6, (5, 1), (1, 5))] + list(first[1:, None])
    assert all(not torch.equal(a, b) for i, a in enumerate(drawn) for b in drawn[:i])
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


def test_a_dot_of_the_brush_is_a_disc():
    # One brush of 20 pixels; the 300 pixels of the wanted area are less than the disc of 314 and the stroke after it.
    mask = free_form_mask((100, 100), hole_ratio=0.03, seed=2, brush_width=(0.2, 0.2))
    assert ndimage.label(mask[0, 0].numpy())[1] == 1
    assert ndimage.distance_transform_edt(np.pad(mask[0, 0].numpy(), 1)).max() <= 10.0 + 1


@pytest.mark.parametrize("radius", [2.0, 10.0])
def test_a_stroke_is_as_thick_as_the_brush(radius):
    width = 2 * radius / 200
    mask = free_form_mask(
        (200, 200), hole_ratio=0.02, seed=0, batch_size=9, brush_width=(width, width), vertices=(1, 1)
    )
    # Half a stroke's thickness is how far its deepest pixel is from what is outside, on a grid of whole pixels.
    deepest = [ndimage.distance_transform_edt(hole.numpy()).max() for hole in mask[:, 0]]
    assert np.median(deepest) == pytest.approx(radius, abs=1.0)


def test_a_stroke_goes_on_from_where_it_is():
    def parts(vertices):
        mask = free_form_mask((128, 128), hole_ratio=0.1, seed=0, batch_size=8, vertices=(vertices, vertices))
        return sum(ndimage.label(hole.numpy())[1] for hole in mask[:, 0])

    assert parts(12) < 0.7 * parts(1)


def test_smooth_blobs_are_discs():
    mask = irregular_mask((101, 101), hole_ratio=0.05, seed=4, batch_size=4, blobs=1, roughness=0.0)
    inner = mask[:, 0, 1:-1, 1:-1].sum(dim=(1, 2)) == mask.sum(dim=(1, 2, 3))  # not cut by the frame
    assert inner.any()
    for hole in mask[inner, 0]:
        y, x = np.nonzero(hole.numpy())
        radius = np.hypot(y - y.mean(), x - x.mean()).max()
        assert radius == pytest.approx(np.sqrt(0.05 * 101**2 / np.pi), abs=1.0)


def test_there_are_as_many_smooth_blobs_as_were_asked_for_or_fewer_that_touch():
    for blobs in (1, 4):
        masks = irregular_mask((96, 96), hole_ratio=0.05, seed=0, batch_size=20, blobs=blobs, roughness=0.0)
        assert max(ndimage.label(hole.numpy())[1] for hole in masks[:, 0]) == blobs


def test_blobs_differ_in_size():
    ratios = []
    for hole in irregular_mask((96, 96), hole_ratio=0.02, seed=0, batch_size=40, blobs=2, roughness=0.0)[:, 0]:
        labels, count = ndimage.label(hole.numpy())
        cut_off = hole[[0, -1]].any() or hole[:, [0, -1]].any()
        if count == 2 and not cut_off:
            areas = ndimage.sum_labels(hole.numpy(), labels, [1, 2])
            ratios.append(areas.max() / areas.min())
    # Their radii are drawn from a half to one.
    assert len(ratios) > 5 and 2 < max(ratios) < 4.5


def test_roughness_makes_the_outline_longer():
    def outline(roughness):
        mask = irregular_mask((96, 96), hole_ratio=0.25, seed=0, batch_size=6, roughness=roughness)
        return float(mask.diff(dim=2).abs().sum() + mask.diff(dim=3).abs().sum())

    lengths = [outline(roughness) for roughness in (0.0, 0.5, 2.0)]
    assert 1.1 * lengths[0] < lengths[1]
    assert lengths[1] < lengths[2]


@pytest.mark.parametrize("draw", DRAW)
def test_bad_arguments(draw):
    for ratio in (-0.1, 1.01, 25, float("nan")):
        with pytest.raises(ValueError, match=r"hole_ratio must be from 0 to 1; got .* It is a share, not a percentage"):
            draw((8, 8), hole_ratio=ratio, seed=0)
    with pytest.raises(ValueError, match=r"size must be \(height, width\), each 1 or more; got \(0, 8\)"):
        draw((0, 8), hole_ratio=0.5, seed=0)
    with pytest.raises(ValueError, match="batch_size must be 1 or more; got 0"):
        draw((8, 8), hole_ratio=0.5, seed=0, batch_size=0)
    for seed in (-1, (), (3, -1)):
        with pytest.raises(ValueError, match="seed must be a whole number, 0 or more, or several of them; got"):
            draw((8, 8), hole_ratio=0.5, seed=seed)
    for seed in (0.5, None, "ab", np.array([1, 2]), (1, 0.5)):
        with pytest.raises(
            TypeError, match=r"seed must be a whole number, or a tuple of several such as \(seed, epoch"
        ):
            draw((8, 8), hole_ratio=0.5, seed=seed)
    for size in (8, (8.0, 8.0), None, "88"):
        with pytest.raises(TypeError, match=r"size must be \(height, width\) in whole numbers; got"):
            draw(size, hole_ratio=0.5, seed=0)
    with pytest.raises(ValueError, match=r"size must be \(height, width\), each 1 or more; got \(3, 8, 8\)"):
        draw((3, 8, 8), hole_ratio=0.5, seed=0)
    assert draw([np.int64(8), 8], hole_ratio=0.5, seed=0).shape == (1, 1, 8, 8)


def test_bad_options():
    with pytest.raises(ValueError, match=r"max_aspect must be 1 or more; got 0\.5"):
        box_mask((8, 8), hole_ratio=0.5, seed=0, max_aspect=0.5)
    for brush_width in ((0.0, 0.1), (0.2, 0.1), (0.1, 1.5)):
        with pytest.raises(ValueError, match=r"brush_width must be \(narrowest, widest\)"):
            free_form_mask((8, 8), hole_ratio=0.5, seed=0, brush_width=brush_width)
    for vertices in ((0, 3), (3, 2)):
        with pytest.raises(ValueError, match=r"vertices must be \(fewest, most\)"):
            free_form_mask((8, 8), hole_ratio=0.5, seed=0, vertices=vertices)
    with pytest.raises(ValueError, match="blobs must be 1 or more; got 0"):
        irregular_mask((8, 8), hole_ratio=0.5, seed=0, blobs=0)
    for roughness in (-1.0, float("nan")):
        with pytest.raises(ValueError, match="roughness must be 0 or more; got"):
            irregular_mask((8, 8), hole_ratio=0.5, seed=0, roughness=roughness)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("ratio", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("draw", DRAW)
def test_another_default_type_changes_nothing(draw, ratio, dtype):
    expected = draw((40, 56), hole_ratio=ratio, seed=3)
    torch.set_default_dtype(dtype)
    try:
        found = draw((40, 56), hole_ratio=ratio, seed=3)
    finally:
        torch.set_default_dtype(torch.float32)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)
