import numpy as np
import pytest
import scipy.ndimage
import skimage.draw

from gatedinpaint.faces import (
    JAW,
    MASK_POLYGON,
    TPS_POINTS,
    Face,
    FaceLandmarker,
    face_height,
    mask_polygon,
    mirror_landmarks,
    polygon_hole,
)
from gatedinpaint.faces.regions import MIRROR
from gatedinpaint.image import Photo


def test_the_published_index_sets() -> None:
    assert len(MASK_POLYGON) == len(set(MASK_POLYGON)) == 42
    assert (JAW[0], JAW[9], JAW[-1], len(JAW)) == (93, 152, 323, 19)
    assert len(TPS_POINTS) == len(set(TPS_POINTS)) == 30
    assert {0, 17, 152, 5} < set(TPS_POINTS)


def test_mirror_is_an_involution_with_the_known_pairs() -> None:
    np.testing.assert_array_equal(MIRROR[MIRROR], np.arange(478))
    # Face contour, eye corners, mouth corners, irises; forehead, nose tip, chin stay.
    for left, right in ((234, 454), (33, 263), (133, 362), (61, 291), (468, 473)):
        assert MIRROR[left] == right
    assert [int(MIRROR[index]) for index in (10, 4, 152)] == [10, 4, 152]
    assert [int(MIRROR[index]) for index in JAW] == list(reversed(JAW))


def test_mirrored_landmarks_are_those_of_the_mirrored_photo(
    photo: Photo, face: Face, landmarker: FaceLandmarker
) -> None:
    found = landmarker.detect(photo[:, ::-1])[0].landmarks
    mirrored = mirror_landmarks(face.landmarks, photo.shape[1])
    # The first column becomes the last.
    np.testing.assert_allclose(mirrored[MIRROR] * (-1, 1) + (photo.shape[1] - 1, 0), face.landmarks, atol=1e-3)
    error = np.linalg.norm(mirrored - found, axis=1)
    assert error.mean() < 0.015 * np.ptp(found[:, 0]) and error.max() < 0.05 * np.ptp(found[:, 0])


def test_mask_polygon_moves_along_the_axis_of_the_face() -> None:
    landmarks = np.zeros((478, 2))
    landmarks[152] = (30, 40)  # the chin is 50 pixels from the forehead, along (0.6, 0.8)
    moved = mask_polygon(landmarks, jaw_shift=0.1, top_shift=0.2)
    np.testing.assert_allclose(moved[1], (3, 4), rtol=1e-6)
    np.testing.assert_allclose(moved[10], (33, 44), rtol=1e-6)
    np.testing.assert_allclose(moved[[0, 20, 30]], [(-6, -8)] * 3, rtol=1e-6)
    np.testing.assert_allclose(mask_polygon(landmarks, jaw_shift=0, top_shift=0)[[0, 10]], [(0, 0), (30, 40)])
    assert face_height(landmarks) == 50


def test_mask_polygon_scales_and_turns_with_the_face(face: Face) -> None:
    turn = 3.5 * np.array([[0.8, -0.6], [0.6, 0.8]])
    expected = mask_polygon(face.landmarks) @ turn.T + [7, 9]
    np.testing.assert_allclose(mask_polygon(face.landmarks @ turn.T + [7, 9]), expected, rtol=1e-4)


def test_polygon_hole_agrees_with_scikit_image(face: Face) -> None:
    polygon = mask_polygon(face.landmarks)
    expected = skimage.draw.polygon2mask((512, 512), polygon[:, ::-1])
    hole = polygon_hole(polygon, (512, 512))
    # Theirs holds the pixels whose centre is inside, ours also those that the outline touches.
    assert (expected <= hole).all()
    assert (hole <= scipy.ndimage.binary_dilation(expected, np.ones((3, 3)))).all()


def test_polygon_hole_is_cut_off_at_the_borders() -> None:
    hole = polygon_hole(np.array([[-9, -9], [2, -9], [2, 99], [-9, 99]]), (4, 6))
    np.testing.assert_array_equal(hole, np.tile(np.arange(6) <= 2, (4, 1)))
    assert not polygon_hole(np.array([[50, 50], [60, 50], [60, 60]]), (4, 6)).any()


@pytest.mark.parametrize("bad", [np.zeros((2, 2)), np.zeros((3, 3)), np.full((3, 2), np.nan)])
def test_bad_polygons_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"polygon must be finite \(N, 2\)"):
        polygon_hole(bad, (8, 8))


def test_a_polygon_may_reach_far_beyond_the_photo_but_not_beyond_counting() -> None:
    half = np.array([[-1.0, 0.0], [1.0, 0.0], [1.0, 1.0], [-1.0, 1.0]])
    assert polygon_hole(9e6 * half + [0, 4], (8, 8)).sum() == 4 * 8
    with pytest.raises(ValueError, match=r"polygon must lie within 1e\+07 pixels .*; got 2e\+08"):
        polygon_hole(2e8 * half, (8, 8))


@pytest.mark.parametrize("size", [(8, 8, 3), (8,), (8, 0), (8.0, 8), 8])
def test_a_size_is_height_and_width(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"size must be \(height, width\), whole numbers of 1 or more; got"):
        polygon_hole(np.array([[1, 1], [3, 1], [3, 2]]), size)


@pytest.mark.parametrize("shift", ["jaw_shift", "top_shift"])
def test_shifts_are_finite(face: Face, shift: str) -> None:
    with pytest.raises(ValueError, match=f"{shift} must be a finite number of face heights; got nan"):
        mask_polygon(face.landmarks, **{shift: float("nan")})


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros((468, 2)), r"\(478, 2\).*got \(468, 2\)"),
        (np.full((478, 2), np.inf), "finite"),
        (np.random.default_rng(0).uniform(-2e8, 2e8, (478, 2)), r"within 1e\+06 pixels .*; got"),
        (np.random.default_rng(0).uniform(0, 0.5, (478, 2)), "Pixels, not fractions"),
    ],
)
def test_bad_landmarks_are_refused(bad: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mask_polygon(bad)
