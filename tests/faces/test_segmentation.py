import numpy as np
import pytest
import scipy.cluster.vq
import scipy.ndimage

from gatedinpaint.faces import (
    AlignedFace,
    Face,
    FaceLandmarker,
    MaskNotFoundError,
    align,
    draw_face_mask,
    kmeans,
    segment_face_mask,
)
from gatedinpaint.image import Hole, Photo


def _iou(first: Hole, second: Hole) -> float:
    return float((first & second).sum() / (first | second).sum())


def test_kmeans_finds_separate_clusters_biggest_first() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2], [300, 200, 100])
    samples = np.array([[0, 0, 0], [50, 0, 0], [0, 90, 20]])[truth] + rng.normal(size=(600, 3))
    order = rng.permutation(600)
    labels, centres = kmeans(samples[order], 3)
    np.testing.assert_array_equal(labels, truth[order])
    np.testing.assert_allclose(centres, [samples[truth == label].mean(0) for label in range(3)])


def test_kmeans_is_as_good_as_scipys() -> None:
    samples = np.random.default_rng(1).uniform(size=(2000, 3))

    def cost(centres: np.ndarray) -> float:
        return float(np.square(scipy.cluster.vq.vq(samples, centres)[1]).sum())

    theirs = min(cost(scipy.cluster.vq.kmeans2(samples, 3, minit="++", iter=100, rng=seed)[0]) for seed in range(5))
    labels, centres = kmeans(samples, 3)
    assert cost(centres) < 1.03 * theirs
    np.testing.assert_array_equal(labels, scipy.cluster.vq.vq(samples, centres)[0])


def test_kmeans_of_few_distinct_samples() -> None:
    labels, centres = kmeans(np.full((10, 3), 7.0), 3)
    assert centres.tolist() == [[7, 7, 7]] and not labels.any()
    labels, centres = kmeans(np.array([[1.0], [1.0], [5.0]]), 3)
    assert centres.tolist() == [[1], [5]] and labels.tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("samples", "k", "message"),
    [
        (np.zeros((0, 3)), 3, "N at least 1"),
        (np.zeros(5), 3, r"values\[:, None\]"),
        (np.array([[1.0], [np.nan]]), 2, "finite"),
        (np.zeros((5, 3)), 0, "k must be 1 or more"),
    ],
)
def test_kmeans_refuses(samples: np.ndarray, k: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kmeans(samples, k)


@pytest.mark.parametrize("color", ["blue", "white", "green", "black", "pink"])
def test_a_drawn_face_mask_is_found(aligned: AlignedFace, landmarker: FaceLandmarker, color: str) -> None:
    masked, drawn = draw_face_mask(aligned.photo, aligned.landmarks, color=color, seed=3, ear_loops=False)
    (found,) = landmarker.detect(masked)  # landmarks as the pipeline has them, guessed under the cloth
    hole = segment_face_mask(masked, found.landmarks)
    assert hole.dtype == np.bool_ and hole.shape == (256, 256)
    assert _iou(hole, drawn) > 0.92
    assert scipy.ndimage.label(hole)[1] == 1
    np.testing.assert_array_equal(hole, scipy.ndimage.binary_fill_holes(hole))
    np.testing.assert_array_equal(hole, segment_face_mask(masked, found.landmarks))


def test_size_and_roll_do_not_matter(photo: Photo, face: Face) -> None:
    large = align(photo, face.landmarks, size=1024)
    masked, drawn = draw_face_mask(large.photo, large.landmarks, seed=4)
    fine = segment_face_mask(masked, large.landmarks)
    small = align(masked, large.landmarks, size=256)
    coarse = fine.reshape(256, 4, 256, 4).mean((1, 3)) > 0.5
    assert _iou(segment_face_mask(small.photo, small.landmarks), coarse) > 0.95

    turned = np.rot90(small.photo)  # a quarter turn sends (x, y) to (y, 255 − x)
    landmarks = np.stack([small.landmarks[:, 1], 255 - small.landmarks[:, 0]], -1)
    assert _iou(np.rot90(segment_face_mask(turned.copy(), landmarks), -1), coarse) > 0.93
    assert _iou(fine, drawn) > 0.9


def test_a_logo_and_a_valve_do_not_tear_the_hole(aligned: AlignedFace) -> None:
    masked, drawn = draw_face_mask(aligned.photo, aligned.landmarks, color="white", seed=1, ear_loops=False)
    x, y = aligned.landmarks[17].astype(int)
    masked[y - 8 : y + 8, x - 12 : x + 12] = (20, 20, 160)
    hole = segment_face_mask(masked, aligned.landmarks)
    assert hole[y - 8 : y + 8, x - 12 : x + 12].all()
    assert _iou(hole, drawn) > 0.9


def test_light_from_the_side(aligned: AlignedFace) -> None:
    masked, drawn = draw_face_mask(aligned.photo, aligned.landmarks, color="blue", seed=1, ear_loops=False)
    lit = (masked * np.linspace(0.45, 1, 256)[None, :, None]).astype(np.uint8)
    assert _iou(segment_face_mask(lit, aligned.landmarks), drawn) > 0.85


def test_a_bare_face_has_no_face_mask(photo: Photo, face: Face) -> None:
    for bare in (photo, np.full_like(photo, 90)):
        with pytest.raises(MaskNotFoundError, match="the colour of the skin around the eyes"):
            segment_face_mask(bare, face.landmarks)


def test_a_face_mask_in_two_colours_beside_much_skin_is_found(aligned: AlignedFace) -> None:
    hole = np.zeros(aligned.photo.shape[:2], bool)
    nose, chin = aligned.landmarks[4].astype(int), aligned.landmarks[152].astype(int)
    hole[nose[1] - 12 : chin[1] + 6, nose[0] - 42 : nose[0] + 42] = True
    masked = aligned.photo.copy()
    masked[hole] = (120, 170, 210)
    masked[hole & (np.arange(256) > nose[0])] = (60, 90, 110)  # half of it lies in shadow
    assert _iou(segment_face_mask(masked, aligned.landmarks), hole) > 0.75


def test_a_face_mask_of_nearly_the_colour_of_the_skin_is_found(aligned: AlignedFace) -> None:
    skin = np.median(aligned.photo[tuple(aligned.landmarks[[9, 8, 229, 449]].astype(int).T[::-1])], axis=0)
    beige = tuple(int(value) for value in (skin * 0.8 + np.array([40, 55, 70])).clip(0, 255))
    masked, drawn = draw_face_mask(aligned.photo, aligned.landmarks, color=beige, ear_loops=False)
    assert _iou(segment_face_mask(masked, aligned.landmarks), drawn) > 0.8


def test_a_lower_face_outside_the_photo_is_an_error(photo: Photo, face: Face) -> None:
    with pytest.raises(MaskNotFoundError, match="outside the photo"):
        segment_face_mask(photo, face.landmarks + np.array([0, 3000]))
    assert issubclass(MaskNotFoundError, ValueError)


def test_a_larger_photo_around_the_face_changes_nothing(aligned: AlignedFace) -> None:
    masked, _ = draw_face_mask(aligned.photo, aligned.landmarks, seed=1)
    bigger = np.pad(masked, ((100, 300), (50, 200), (0, 0)), mode="edge")
    hole = segment_face_mask(bigger, aligned.landmarks + np.array([50, 100]))
    assert _iou(hole[100:356, 50:306], segment_face_mask(masked, aligned.landmarks)) > 0.95
