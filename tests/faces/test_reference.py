import numpy as np
import pytest
import scipy.interpolate
import skimage.transform
import torch

from gatedinpaint.faces import (
    TPS_POINTS,
    AlignedFace,
    Face,
    align,
    face_height,
    mask_polygon,
    mirror_landmarks,
    polygon_hole,
    warp_reference,
)
from gatedinpaint.faces._reference_map import face_region, fit_map
from gatedinpaint.faces._visibility import visible_control_points
from gatedinpaint.image import Hole, Photo
from gatedinpaint.warp import DegenerateControlPointsError

SIZE = (256, 256)


@pytest.fixture
def lower_face(aligned: AlignedFace) -> Hole:
    return polygon_hole(mask_polygon(aligned.landmarks), SIZE)


def turned(face: Face, degrees: float) -> np.ndarray:
    """The landmarks after the head has turned about its own axis, by their depth; positive: towards the right."""
    points = np.column_stack([face.landmarks, face.depth]).astype(np.float64)
    middle = points.mean(0)
    x, y, z = (points - middle).T
    angle = np.radians(degrees)
    return np.stack([x * np.cos(angle) - z * np.sin(angle), y], 1) + middle[:2]


def test_the_same_photo_comes_back(aligned: AlignedFace, lower_face: Hole) -> None:
    points = aligned.landmarks
    warped = warp_reference(aligned.photo, points, points, SIZE)
    assert np.abs(warped.photo.astype(int) - aligned.photo)[warped.known].max() <= 1
    assert warped.known.dtype == np.bool_ and warped.known[lower_face].all()
    assert (warped.method, warped.folded) == ("spline", False)
    relit = warp_reference(aligned.photo, points, points, SIZE, target=aligned.photo)
    np.testing.assert_array_equal(relit.photo, warped.photo)


def test_it_unpacks_as_photo_and_known(aligned: AlignedFace) -> None:
    warped = warp_reference(aligned.photo, aligned.landmarks, aligned.landmarks, SIZE)
    photo, known = warped
    assert photo is warped.photo and known is warped.known


def test_a_shifted_face_shifts_the_reference(aligned: AlignedFace) -> None:
    points = aligned.landmarks
    _, still = warp_reference(aligned.photo, points, points, SIZE)
    warped, known = warp_reference(aligned.photo, points, points + np.array([30, 20]), (280, 300))
    assert warped.shape == (280, 300, 3)
    assert np.abs(warped[20:276, 30:286].astype(int) - aligned.photo)[known[20:276, 30:286]].max() <= 2
    # Outlines are filled in sixteenths of a pixel, so that the border of what is known may move by one.
    assert (known[20:276, 30:286] != still).mean() < 0.01
    assert not known[:20].any() and not known[:, :30].any()


def test_only_the_face_is_known(photo: Photo, face: Face, aligned: AlignedFace) -> None:
    points = face.landmarks
    _, known = warp_reference(photo, points, points, photo.shape[:2])
    y, x = np.nonzero(known)
    height = face_height(points)
    assert (np.abs(x - points[:, 0].mean()) < height).all() and (np.abs(y - points[:, 1].mean()) < height).all()
    # A reference that ends below the nose has no chin to show.
    nose, chin = aligned.landmarks[4].astype(int), aligned.landmarks[152].astype(int)
    _, known = warp_reference(aligned.photo[: nose[1] + 5], aligned.landmarks, aligned.landmarks, SIZE)
    assert known[nose[1], nose[0]] and not known[chin[1], chin[0]]


def test_without_regularization_it_is_scipys_spline(aligned: AlignedFace) -> None:
    moved = aligned.landmarks + np.random.default_rng(0).normal(0, 1, (478, 2))
    ramp = np.tile(np.arange(256, dtype=np.uint8)[None, :, None], (256, 1, 3))  # a pixel's value is its x
    warped, known = warp_reference(ramp, aligned.landmarks, moved, SIZE, regularization=0.0)
    used = visible_control_points(aligned.landmarks) & visible_control_points(moved)
    points = np.array(TPS_POINTS)[used]
    spline = scipy.interpolate.RBFInterpolator(moved[points], aligned.landmarks[points], kernel="thin_plate_spline")
    y, x = np.mgrid[:256, :256]
    looked_up = spline(np.stack([x, y], -1).reshape(-1, 2)).reshape(256, 256, 2)
    assert used.sum() >= 25 and known.sum() > 20_000
    # The reference is shrunk by a per cent at most, which moves a ramp's values by less than one more.
    np.testing.assert_allclose(warped[known][:, 0], looked_up[known][:, 0].clip(0, 255), atol=1.6)


def test_a_larger_reference_is_averaged_not_sampled(photo: Photo, face: Face) -> None:
    small, large = (align(photo, face.landmarks, size=size) for size in (128, 1024))
    noisy = large.photo.astype(int) + np.random.default_rng(0).normal(0, 60, large.photo.shape)
    noisy = noisy.clip(0, 255).astype(np.uint8)
    warped, known = warp_reference(noisy, large.landmarks, small.landmarks, (128, 128))
    expected = skimage.transform.downscale_local_mean(noisy, (8, 8, 1))
    assert known.mean() > 0.3
    assert np.abs(warped - expected)[known].mean() < 6  # sampled without averaging it is 40


def test_size_does_not_matter(aligned: AlignedFace) -> None:
    points = (aligned.landmarks + 0.5) / 2 - 0.5
    photo = skimage.transform.downscale_local_mean(aligned.photo, (2, 2, 1)).round().astype(np.uint8)
    moved = points + np.random.default_rng(1).normal(0, 0.5, (478, 2))
    small = warp_reference(photo, points, moved, (128, 128))
    doubled = np.repeat(np.repeat(photo, 2, 0), 2, 1)
    large = warp_reference(doubled, 2 * points + 0.5, 2 * moved + 0.5, (256, 256))
    averaged = skimage.transform.downscale_local_mean(large.photo, (2, 2, 1))
    assert np.abs(averaged - small.photo)[small.known].mean() < 3
    confidence = skimage.transform.downscale_local_mean(large.confidence, (2, 2))
    inner = small.known & (confidence > 0)  # the border of what is known may move by a pixel
    assert np.abs(confidence - small.confidence)[inner].mean() < 0.02


def test_the_side_of_the_jaw_that_is_turned_away_is_hidden(face: Face) -> None:
    far_right, far_left = (TPS_POINTS.index(index) for index in (361, 132))  # the photo's right and left
    for degrees in (35, 60):
        right, left = visible_control_points(turned(face, degrees)), visible_control_points(turned(face, -degrees))
        assert not right[far_right] and right[far_left]
        assert not left[far_left] and left[far_right]
    width = 512
    mirrored = visible_control_points(mirror_landmarks(turned(face, 35), width).astype(np.float64))
    assert not mirrored[far_left] and mirrored[far_right]


def test_hidden_landmarks_have_no_say(aligned: AlignedFace, face: Face, photo: Photo) -> None:
    points = turned(face, 40)
    hidden = np.array(TPS_POINTS)[~visible_control_points(points)]
    # The rest of the face keeps still, so a change of the result could only come from hidden points.
    moved = points.copy()
    moved[hidden] += [0.2, 0.2]
    assert len(hidden) >= 3 and (visible_control_points(moved) == visible_control_points(points)).all()
    first, second = (warp_reference(photo, face.landmarks, p, (512, 512)).photo for p in (points, moved))
    np.testing.assert_array_equal(first, second)


def test_confidence_is_lower_on_the_side_that_the_reference_hides(photo: Photo, face: Face) -> None:
    points = face.landmarks
    warped = warp_reference(photo, turned(face, 40), points, (512, 512))
    same = warp_reference(photo, points, points, (512, 512))
    assert warped.confidence.dtype == np.float32
    for result in (warped, same):
        assert result.confidence.min() >= 0 and result.confidence.max() <= 1
        assert (result.confidence[~result.known] == 0).all()
    (left_x, left_y), (right_x, right_y) = points[[50, 280]].astype(int)  # the cheeks
    assert warped.confidence[right_y, right_x] < 0.75 * same.confidence[right_y, right_x]
    assert warped.confidence[left_y, left_x] > 0.8 * same.confidence[left_y, left_x]


@pytest.mark.parametrize("strength", [0.0, 0.02, 0.05, 0.1, 0.2])
def test_no_map_folds_over(aligned: AlignedFace, strength: float) -> None:
    points = (aligned.landmarks.astype(np.float64) + 0.5) / 2 - 0.5
    size = (128, 128)
    height = face_height(points)
    region = face_region(4 * points + 1.5, (512, 512))
    y, x = np.mgrid[:512, :512]
    places = (np.stack([x, y], -1).reshape(-1, 2) - 1.5) / 4
    stiffened = 0
    for seed in range(4):
        noise = np.random.default_rng(seed).normal(0, strength * height, (478, 2))
        noise[[10, 152]] = 0  # the face keeps its height, in which the noise is measured
        try:
            face_map = fit_map(points, points + noise, size, 1e-4)
        except DegenerateControlPointsError:
            assert strength == 0.2
            continue
        stiffened += face_map.folded
        # Measured from place to place a quarter of a pixel apart, not by the derivative that the code looks at.
        place = face_map.spline(torch.from_numpy(places)).numpy().reshape(*region.shape, 2)
        across, down = np.diff(place, axis=1)[:-1], np.diff(place, axis=0)[:, :-1]
        area = across[..., 0] * down[..., 1] - across[..., 1] * down[..., 0]
        assert (area[region[:-1, :-1]] > 0).all()
    assert (stiffened > 0) == (strength > 0)  # a spline that bends so freely does fold


def test_where_no_spline_serves_it_is_a_similarity_transform(
    aligned: AlignedFace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gatedinpaint.faces._reference_map._FOLDED", 2.0)  # every spline counts as folded
    points = aligned.landmarks.astype(np.float64)
    angle, scale, shift = 0.3, 0.8, np.array([20.0, -10.0])
    rotation = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    face_map = fit_map(points, points @ rotation + shift, SIZE, 1e-2)
    assert (face_map.method, face_map.folded) == ("similarity", True)
    warped = warp_reference(aligned.photo, points, points, SIZE)
    assert (warped.method, warped.folded) == ("similarity", True)
    estimated = skimage.transform.SimilarityTransform(scale=scale, rotation=angle, translation=shift)
    place = (face_map.spline.grid(SIZE)[0].numpy() + 1) * 128 - 0.5
    y, x = np.mgrid[:256, :256]
    np.testing.assert_allclose(place.reshape(-1, 2), estimated(np.stack([x, y], -1).reshape(-1, 2)), atol=1e-6)


def test_mirrored_landmarks_are_told_from_a_mirrored_photo(aligned: AlignedFace) -> None:
    points = aligned.landmarks
    inside_out = points * [-1, 1] + [255, 0]  # mirrored places under the old names
    with pytest.raises(DegenerateControlPointsError, match=r"same side of a face.*use mirror_landmarks"):
        warp_reference(aligned.photo, points, inside_out, SIZE)
    mirrored = warp_reference(aligned.photo[:, ::-1].copy(), mirror_landmarks(points, 256), points, SIZE)
    assert mirrored.method == "spline"


def _recoloured(photo: Photo, landmarks: np.ndarray) -> Photo:
    """Another camera and a light from the side: gain and offset per channel, and a slope across the face."""
    x = (np.arange(photo.shape[1])[None, :, None] - landmarks[:, 0].mean()) / face_height(landmarks)
    changed = photo * np.array([0.8, 0.7, 0.75]) + np.array([10.0, 20.0, 35.0]) + 40.0 * x
    return np.rint(changed.clip(0, 255)).astype(np.uint8)


def test_colour_and_side_light_are_those_of_the_target(aligned: AlignedFace, lower_face: Hole) -> None:
    points = aligned.landmarks
    target = _recoloured(aligned.photo, points)
    relit = warp_reference(aligned.photo, points, points, SIZE, target=target)
    plain = warp_reference(aligned.photo, points, points, SIZE)
    before, after = (np.abs(w.photo.astype(int) - target)[lower_face].mean() for w in (plain, relit))
    assert before > 20
    assert after < 6  # not 0: the fit is held back, and the chin lies far from the skin that it saw


def test_the_lower_face_has_no_say_in_its_colours(aligned: AlignedFace, lower_face: Hole) -> None:
    points = aligned.landmarks
    target = _recoloured(aligned.photo, points)
    masked = target.copy()
    masked[lower_face] = 0, 255, 0
    relit, relit_of_masked = (
        warp_reference(aligned.photo, points, points, SIZE, target=photo).photo for photo in (target, masked)
    )
    np.testing.assert_array_equal(relit, relit_of_masked)
    everything = np.ones(SIZE, bool)  # no skin in sight: colours stay
    unchanged, known = warp_reference(aligned.photo, points, points, SIZE, target=target, hole=everything)
    assert np.abs(unchanged.astype(int) - aligned.photo)[known].max() <= 1


def test_a_target_without_sense_is_not_amplified(aligned: AlignedFace) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    warped = warp_reference(aligned.photo, aligned.landmarks, aligned.landmarks, SIZE)
    relit = warp_reference(aligned.photo, aligned.landmarks, aligned.landmarks, SIZE, target=noise)
    assert relit.photo[relit.known].std() < 1.05 * warped.photo[warped.known].std()


def test_nothing_is_matched_by_specks_of_skin(photo: Photo, face: Face) -> None:
    large = align(photo, face.landmarks, size=512)
    points, specks = large.landmarks, np.ones((512, 512), bool)
    specks[::2, ::3] = False  # no place shows more skin than hole
    plain = warp_reference(large.photo, points, points, (512, 512))
    relit = warp_reference(large.photo, points, points, (512, 512), target=large.photo // 2, hole=specks)
    np.testing.assert_array_equal(relit.photo, plain.photo)


def test_bad_input_is_refused(aligned: AlignedFace) -> None:
    photo, points = aligned.photo, aligned.landmarks
    with pytest.raises(ValueError, match=r"reference must be RGB"):
        warp_reference(photo[..., 0], points, points, (64, 64))
    with pytest.raises(ValueError, match=r"landmarks must be \(478, 2\)"):
        warp_reference(photo, points[:10], points, (64, 64))
    with pytest.raises(ValueError, match="size must be"):
        warp_reference(photo, points, points, (0, 64))
    with pytest.raises(ValueError, match=r"landmarks must lie in the photo of the given size \(64, 64\)"):
        warp_reference(photo, points, points + 1000, (64, 64))
    with pytest.raises(ValueError, match="regularization must be 0 or more; got -1.0"):
        warp_reference(photo, points, points, SIZE, regularization=-1.0)
    with pytest.raises(ValueError, match=r"target must be of the given size \(64, 64\); got \(256, 256\)"):
        warp_reference(photo, points, points, (64, 64), target=photo)
    with pytest.raises(ValueError, match="hole was given without target"):
        warp_reference(photo, points, points, SIZE, hole=np.ones(SIZE, bool))
    with pytest.raises(ValueError, match=r"size must be .*whole numbers of 2 or more; got \(256, 256, 3\)"):
        warp_reference(photo, points, points, photo.shape)
    with pytest.raises(TypeError, match="hole must be bool; got float64"):
        warp_reference(photo, points, points, SIZE, target=photo, hole=np.ones(SIZE))
    with pytest.raises(ValueError, match=r"hole must be \(H, W\) = \(256, 256\) as the target; got \(64, 64\)"):
        warp_reference(photo, points, points, SIZE, target=photo, hole=np.ones((64, 64), bool))
