import numpy as np
import pytest
import scipy.interpolate
import skimage.transform

from gatedinpaint.faces import TPS_POINTS, AlignedFace, Face, align, mirror_landmarks, warp_reference
from gatedinpaint.image import Photo


def test_the_same_photo_comes_back(aligned: AlignedFace) -> None:
    warped, known = warp_reference(aligned.photo, aligned.landmarks, aligned.landmarks, (256, 256))
    assert np.abs(warped.astype(int) - aligned.photo).max() <= 1
    assert known.all() and known.dtype == np.bool_


def test_a_shifted_face_shifts_the_reference(aligned: AlignedFace) -> None:
    warped, known = warp_reference(aligned.photo, aligned.landmarks, aligned.landmarks + np.array([30, 20]), (280, 300))
    assert warped.shape == (280, 300, 3)
    assert np.abs(warped[21:275, 31:285].astype(int) - aligned.photo[1:255, 1:255]).max() <= 2
    expected = np.zeros((280, 300), bool)
    expected[20:276, 30:286] = True
    assert (known != expected).mean() < 0.01


def test_without_regularization_it_is_scipys_spline(aligned: AlignedFace) -> None:
    rng = np.random.default_rng(0)
    moved = aligned.landmarks + rng.normal(0, 2, (478, 2))
    ramp = np.tile(np.arange(256, dtype=np.uint8)[None, :, None], (256, 1, 3))  # a pixel's value is its x
    warped, known = warp_reference(ramp, aligned.landmarks, moved, (256, 256), regularization=0.0)
    points = list(TPS_POINTS)
    spline = scipy.interpolate.RBFInterpolator(moved[points], aligned.landmarks[points], kernel="thin_plate_spline")
    y, x = np.mgrid[:256, :256]
    looked_up = spline(np.stack([x, y], -1).reshape(-1, 2)).reshape(256, 256, 2)
    # A face height far from 1 would shrink the reference; here both are equal to a few per cent.
    np.testing.assert_allclose(warped[known][:, 0], looked_up[known][:, 0].clip(0, 255), atol=1.6)


def test_a_larger_reference_is_averaged_not_sampled(photo: Photo, face: Face) -> None:
    small, large = (align(photo, face.landmarks, size=size) for size in (128, 1024))
    noisy = large.photo.astype(int) + np.random.default_rng(0).normal(0, 60, large.photo.shape)
    noisy = noisy.clip(0, 255).astype(np.uint8)
    warped, known = warp_reference(noisy, large.landmarks, small.landmarks, (128, 128))
    expected = skimage.transform.downscale_local_mean(noisy, (8, 8, 1))
    assert known.all()
    assert np.abs(warped - expected).mean() < 6  # sampled without averaging it is 40


def test_size_does_not_matter(photo: Photo, face: Face) -> None:
    rng = np.random.default_rng(1)
    moved = face.landmarks + rng.normal(0, 3, (478, 2)).astype(np.float32)
    small, _ = warp_reference(photo, face.landmarks, moved, (512, 512), regularization=0.01)
    doubled = np.repeat(np.repeat(photo, 2, 0), 2, 1)
    large, _ = warp_reference(doubled, 2 * face.landmarks + 0.5, 2 * moved + 0.5, (1024, 1024), regularization=0.01)
    averaged = skimage.transform.downscale_local_mean(large, (2, 2, 1))
    assert np.abs(averaged - small).mean() < 3


def test_where_the_map_folds_nothing_is_known(aligned: AlignedFace) -> None:
    points = aligned.landmarks
    inside_out = points * [-1, 1] + [255, 0]  # mirrored places under the old names: the map turns everything over
    _, known = warp_reference(aligned.photo, points, inside_out, (256, 256))
    assert not known.any()
    _, known = warp_reference(aligned.photo[:, ::-1].copy(), mirror_landmarks(points, 256), points, (256, 256))
    assert known.mean() > 0.9


def test_bad_input_is_refused(aligned: AlignedFace) -> None:
    with pytest.raises(ValueError, match=r"reference must be RGB"):
        warp_reference(aligned.photo[..., 0], aligned.landmarks, aligned.landmarks, (64, 64))
    with pytest.raises(ValueError, match=r"landmarks must be \(478, 2\)"):
        warp_reference(aligned.photo, aligned.landmarks[:10], aligned.landmarks, (64, 64))
    with pytest.raises(ValueError, match="size must be"):
        warp_reference(aligned.photo, aligned.landmarks, aligned.landmarks, (0, 64))
    with pytest.raises(ValueError, match="regularization"):
        warp_reference(aligned.photo, aligned.landmarks, aligned.landmarks, (64, 64), regularization=-1.0)
