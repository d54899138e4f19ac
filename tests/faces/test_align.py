import numpy as np
import pytest
import skimage.transform
import torch

from gatedinpaint.faces import AlignedFace, Face, align, scale_to_hold
from gatedinpaint.image import Photo


def _simple_face() -> np.ndarray:
    """Eyes at (100, 100) and (140, 100), mouth at (120, 150): worked out by hand below."""
    landmarks = np.zeros((478, 2))
    landmarks[[33, 160, 158, 133, 153, 144]] = (100, 100)
    landmarks[[362, 385, 387, 263, 373, 380]] = (140, 100)
    landmarks[[61, 291]] = (120, 150)
    landmarks[152] = (120, 170)
    return landmarks


def test_the_crop_of_a_simple_face_by_hand() -> None:
    # |e| = 40, |m| = 50: half side max(80, 90) = 90, centre (120, 100 + 5). At 180 pixels the scale is 1, and the
    # centre falls on (89.5, 89.5), between the middle pixels.
    aligned = align(np.zeros((200, 220, 3), np.uint8), _simple_face(), size=180)
    np.testing.assert_allclose(aligned.matrix, [[1, 0, -30.5], [0, 1, -15.5]], atol=1e-12)
    assert aligned.source_size == (200, 220) and aligned.photo.shape == (180, 180, 3)


def test_the_crop_turns_and_scales_with_the_face() -> None:
    angle = np.radians(25)
    turn = 1.7 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    photo = np.zeros((400, 400, 3), np.uint8)
    upright = align(photo, _simple_face(), size=128)
    turned = align(photo, _simple_face() @ turn.T + [30, -20], size=128)
    np.testing.assert_allclose(turned.landmarks, upright.landmarks, atol=1e-3)


def test_a_crop_aligns_to_itself(aligned: AlignedFace) -> None:
    again = align(aligned.photo, aligned.landmarks, size=256)
    np.testing.assert_allclose(again.matrix, [[1, 0, 0], [0, 1, 0]], atol=1e-4)
    assert np.abs(again.photo.astype(int) - aligned.photo).max() <= 1


def test_points_return_exactly(aligned: AlignedFace, face: Face) -> None:
    points = np.random.default_rng(0).uniform(-100, 4000, (50, 2))
    np.testing.assert_allclose(aligned.to_source(aligned.to_crop(points)), points, atol=1e-9)
    np.testing.assert_allclose(aligned.to_source(aligned.landmarks), face.landmarks, atol=1e-4)


def test_pixels_agree_with_scikit_image(photo: Photo, face: Face) -> None:
    aligned = align(photo, face.landmarks, size=512)  # enlarges, so no averaging is involved
    inverse = np.linalg.inv(np.vstack([aligned.matrix, [0, 0, 1]]))
    expected = skimage.transform.warp(
        photo, skimage.transform.AffineTransform(inverse), output_shape=(512, 512), order=3, mode="symmetric"
    )
    assert np.abs(aligned.photo / 255 - expected).mean() < 2 / 255


@pytest.mark.parametrize("size", [64, 150, 400])
def test_restore_inverts_the_crop_of_a_smooth_photo(face: Face, size: int) -> None:
    y, x = np.mgrid[:512, :512]
    smooth = np.stack([127 + 100 * np.sin(x / 60), 127 + 100 * np.cos(y / 50), (x + y) / 4.1], -1).astype(np.uint8)
    aligned = align(smooth, face.landmarks, size=size)
    restored, inside = aligned.restore(aligned.photo), aligned.restore(np.ones((size, size), bool))
    assert restored.dtype == np.uint8 and restored.shape == smooth.shape
    assert inside.sum() == pytest.approx(size**2 / np.linalg.det(aligned.matrix[:, :2]), rel=0.02)
    assert np.abs(restored[inside].astype(int) - smooth[inside]).max() <= 4
    assert not restored[~inside].any()


def test_restore_keeps_place_and_type(aligned: AlignedFace) -> None:
    y, x = np.mgrid[:256, :256].astype(np.float32)
    inside = aligned.restore(np.ones((256, 256), bool))
    for crop, axis in ((x, 0), (y, 1)):
        restored = aligned.restore(crop)
        assert restored.dtype == np.float32 and restored.shape == aligned.source_size
        rows, columns = np.nonzero(inside)
        expected = aligned.to_crop(np.stack([columns, rows], -1))[:, axis]
        np.testing.assert_allclose(restored[inside], expected.clip(0, 255), atol=0.51)
        assert np.abs(restored[inside] - expected).mean() < 0.1
    hole = (x - 128) ** 2 + (y - 150) ** 2 < 60**2
    restored = aligned.restore(hole)
    assert restored.dtype == np.bool_
    centre = np.argwhere(restored).mean(0)[::-1]
    np.testing.assert_allclose(centre, aligned.to_source(np.array([[128, 150]]))[0], atol=0.3)


def test_restore_fills_a_window_alone(aligned: AlignedFace) -> None:
    whole = aligned.restore(aligned.photo)
    part = aligned.restore(aligned.photo, window=(slice(100, 200), slice(None, 260)))
    assert np.array_equal(part[100:200, :260], whole[100:200, :260]) and whole[100:200, :260].any()
    part[100:200, :260] = 0
    assert not part.any()
    assert not aligned.restore(aligned.photo, window=(slice(0, 0), slice(None))).any()


def test_a_hole_covers_every_pixel_that_it_touches(photo: Photo, face: Face) -> None:
    for size in (64, 512):
        aligned = align(photo, face.landmarks, size=size, scale=1.25)
        for x, y in ((250, 150), (230, 120)):
            hole = np.zeros(photo.shape[:2], bool)
            hole[y, x] = True
            place = aligned.to_crop(np.array([[x, y]]))[0].round().astype(int)
            covered = aligned.cover(hole)
            assert covered[place[1], place[0]]
            assert covered.sum() <= max(9, 6 * np.linalg.det(aligned.matrix[:, :2]) + 16)
    with pytest.raises(ValueError, match="hole must be"):
        aligned.cover(hole[1:])


def test_beyond_the_border_the_hole_is_mirrored_as_the_photo_is(photo: Photo, face: Face) -> None:
    bottom = int(face.landmarks[152, 1]) - 20
    cut = photo[:bottom].copy()
    hole = np.zeros(cut.shape[:2], bool)
    hole[bottom - 25 :, 200:260] = True
    cut[:], cut[hole] = 0, 255
    aligned = align(cut, face.landmarks, size=256)
    assert aligned.to_crop(np.array([[230.0, bottom + 20.0]]))[0, 1] < 250  # the crop shows what is beyond
    assert aligned.photo[~aligned.cover(hole)].max() < 8  # not white: overshoot of cubic interpolation at corners


def test_one_pixel_of_a_photo_in_full_size_is_not_lost(face: Face) -> None:
    photo = np.zeros((3200, 3200, 3), np.uint8)
    landmarks = 16 * (face.landmarks - [120, 20])  # the face is 16 times as large, and fills this part of the photo
    aligned = align(photo, landmarks, size=64)
    assert np.linalg.det(aligned.matrix[:, :2]) < 0.03**2
    rng = np.random.default_rng(0)
    for x, y in rng.uniform(8, 56, (12, 2)):
        column, row = aligned.to_source(np.array([[x, y]]))[0].round().astype(int)
        hole = np.zeros(photo.shape[:2], bool)
        hole[row, column] = True
        covered = aligned.cover(hole)
        assert 1 <= covered.sum() <= 9
        np.testing.assert_allclose(np.argwhere(covered).mean(0)[::-1], (x, y), atol=1.2)


def test_scale_shows_more_of_the_surroundings(photo: Photo, face: Face) -> None:
    usual, wide = align(photo, face.landmarks, size=128), align(photo, face.landmarks, size=192, scale=1.5)
    assert (usual.scale, wide.scale) == (1.0, 1.5)
    np.testing.assert_allclose(wide.matrix[:, :2], usual.matrix[:, :2], atol=1e-12)
    np.testing.assert_allclose(wide.landmarks, usual.landmarks + 32, atol=1e-3)
    with pytest.raises(ValueError, match="scale must be more than 0"):
        align(photo, face.landmarks, scale=0)


@pytest.mark.parametrize(("margin", "scale"), [(0.0, 1.125), (0.06, 1.25), (0.2, 1.375)])
def test_the_larger_square_shows_a_margin_around_the_hole(margin: float, scale: float) -> None:
    landmarks = np.zeros((478, 2))
    landmarks[[33, 160, 158, 133, 153, 144]] = 100, 100
    landmarks[[362, 385, 387, 263, 373, 380]] = 140, 100
    landmarks[[61, 291]] = 120, 150
    landmarks[152] = 120, 170
    hole = np.zeros((300, 300), bool)
    hole[100:206, 110:130] = True  # FFHQ's square is 105 ± 90 high: the hole ends at 1.111 of its half, in eighths 8.9
    assert scale_to_hold(landmarks, hole, margin=margin) == scale


def test_a_hole_that_leaves_the_square_gets_a_larger_one(photo: Photo, face: Face) -> None:
    hole = np.zeros((900, 512), bool)
    hole[120:170, 195:250] = True
    assert scale_to_hold(face.landmarks, hole) == 1.0
    hole[120:210, 195:250] = True
    scale = scale_to_hold(face.landmarks, hole)
    assert 1.0 < scale < 1.5
    covered = align(np.zeros((900, 512, 3), np.uint8), face.landmarks, size=128, scale=scale).cover(hole)
    assert not covered[[0, -1]].any() and not covered[:, [0, -1]].any()
    hole[150:] = True
    assert scale_to_hold(face.landmarks, hole) == 1.5
    assert scale_to_hold(face.landmarks, np.zeros((900, 512), bool)) == 1.0


def test_a_face_at_the_border_is_continued_and_restored_inside(photo: Photo, face: Face) -> None:
    cut = photo[60:, 190:]
    aligned = align(cut, face.landmarks - [190, 60], size=128)
    assert (aligned.photo.reshape(-1, 3).max(1) > 0).mean() > 0.95  # no black beyond the border
    assert aligned.restore(aligned.photo).shape == cut.shape
    away = align(photo, face.landmarks + np.array([5000, 0]), size=128)
    assert not away.restore(away.photo).any()


def test_shrinking_averages() -> None:
    landmarks = _simple_face() * 8 + 100
    stripes = np.zeros((1700, 1800, 3), np.uint8)
    stripes[:, ::2] = 254
    assert np.ptp(align(stripes, landmarks, size=96).photo.astype(int)) <= 40  # an aliased one has the full range


def test_bad_input_is_refused(photo: Photo, face: Face, aligned: AlignedFace) -> None:
    with pytest.raises(TypeError, match="uint8"):
        align(photo.astype(float), face.landmarks)
    with pytest.raises(ValueError, match=r"landmarks must be \(478, 2\)"):
        align(photo, face.landmarks[:468])
    with pytest.raises(ValueError, match="size must be 1 or more"):
        align(photo, face.landmarks, size=0)
    with pytest.raises(TypeError, match="size must be a whole number; got 128.0"):
        align(photo, face.landmarks, size=128.0)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="hole must be bool; got float64"):
        scale_to_hold(face.landmarks, np.ones((10, 10)))
    with pytest.raises(ValueError, match=r"hole must be \(H, W\); got \(1, 1, 9, 9\)"):
        scale_to_hold(face.landmarks, np.ones((1, 1, 9, 9), bool))
    flat = np.zeros((478, 2))
    flat[152] = 50
    with pytest.raises(ValueError, match="coincide"):
        align(photo, flat)
    with pytest.raises(ValueError, match=r"crop must be \(256, 256\)"):
        aligned.restore(np.zeros((128, 128)))
    with pytest.raises(TypeError, match="crop must be a numpy array; got Tensor. Use image_to_photo"):
        aligned.restore(torch.zeros(1, 3, 256, 256))
    with pytest.raises(ValueError, match=r"got \(478, 3\)\. Leave out the depth: landmarks\[:, :2\]"):
        align(photo, np.zeros((478, 3)))
