from collections.abc import Callable

import cv2
import numpy as np
import pytest
import scipy.ndimage

from gatedinpaint.faces import (
    MASK_STYLES,
    AlignedFace,
    Face,
    FaceLandmarker,
    MaskNotFoundError,
    align,
    draw_face_mask,
    face_height,
    find_face_mask,
    mask_polygon,
    polygon_hole,
    segment_face_mask,
)
from gatedinpaint.faces.synthetic import MaskStyle
from gatedinpaint.image import Hole, Photo


def _iou(first: Hole, second: Hole) -> float:
    return float((first & second).sum() / (first | second).sum())


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
        with pytest.raises(MaskNotFoundError, match="another colour than the skin"):
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


@pytest.mark.parametrize("style", ["surgical", "ffp2", "cloth", "black"])
def test_every_style_with_its_ear_loops(aligned: AlignedFace, landmarker: FaceLandmarker, style: MaskStyle) -> None:
    masked, drawn = draw_face_mask(aligned.photo, aligned.landmarks, style=style, seed=5)
    (found,) = landmarker.detect(masked)
    face_mask = find_face_mask(masked, found.landmarks)
    assert face_mask.source == "segmentation" and face_mask.quality > 0.65
    assert _iou(face_mask.hole, drawn) > 0.9


def test_a_face_mask_in_wide_stripes_is_found_where_the_biggest_cluster_is_a_part_of_it(aligned: AlignedFace) -> None:
    masked, drawn = draw_face_mask(aligned.photo, aligned.landmarks, color="white", seed=2, ear_loops=False)
    stripe = np.arange(256) // 14 % 3  # three colours
    masked[drawn & (stripe == 0)] = masked[drawn & (stripe == 0)] * np.array([0.9, 0.2, 0.2])
    masked[drawn & (stripe == 1)] = masked[drawn & (stripe == 1)] * np.array([0.1, 0.2, 0.6])
    assert _iou(segment_face_mask(masked, aligned.landmarks), drawn) > 0.92
    assert _iou(segment_face_mask(masked, aligned.landmarks, method="kmeans"), drawn) < 0.6


def test_the_papers_recipe_finds_a_plain_face_mask(aligned: AlignedFace) -> None:
    masked, drawn = draw_face_mask(aligned.photo, aligned.landmarks, style="black", seed=2, ear_loops=False)
    assert _iou(segment_face_mask(masked, aligned.landmarks, method="kmeans"), drawn) > 0.85


def test_an_ear_loop_belongs_to_the_hole(aligned: AlignedFace) -> None:
    masked, cloth = draw_face_mask(aligned.photo, aligned.landmarks, color="blue", seed=1, ear_loops=False)
    without = segment_face_mask(masked, aligned.landmarks)
    ys, xs = np.nonzero(cloth)
    corner = xs.min(), int(ys[xs == xs.min()].mean())
    cv2.line(masked, corner, (corner[0] - 14, corner[1] - 22), (250, 250, 250), 2, cv2.LINE_AA)
    cord = np.zeros(cloth.shape, np.uint8)
    cv2.line(cord, corner, (corner[0] - 14, corner[1] - 22), 1, 1)
    outside = (cord > 0) & ~scipy.ndimage.binary_dilation(without, iterations=3)
    assert outside.sum() > 8
    assert segment_face_mask(masked, aligned.landmarks)[outside].mean() > 0.8
    assert not without[outside].any()


def test_where_little_stands_out_the_polygon_serves(aligned: AlignedFace) -> None:
    """Fading a face mask into the face, its quality falls, and the answer goes from pixels to polygon to none."""
    masked, _ = draw_face_mask(aligned.photo, aligned.landmarks, color="blue", seed=1, ear_loops=False)
    polygon = polygon_hole(mask_polygon(aligned.landmarks), (256, 256))
    sources, qualities = [], []
    for opacity in [1, 0.8, 0.6, 0.5, 0.46, 0.42, 0.38, 0.34, 0.3, 0.28, 0.26, 0.22, 0.18, 0]:
        faded = np.round(opacity * masked + (1 - opacity) * aligned.photo).astype(np.uint8)
        try:
            found = find_face_mask(faded, aligned.landmarks)
        except MaskNotFoundError:
            sources.append("none")
            continue
        sources.append(found.source)
        qualities.append(found.quality)
        assert (found.source == "polygon") == np.array_equal(found.hole, polygon)
    assert sources == sorted(sources, key=["segmentation", "polygon", "none"].index)
    assert set(sources) == {"segmentation", "polygon", "none"}
    assert max(qualities) <= 1 and qualities[0] > qualities[-1] + 0.1


def test_an_unknown_method(aligned: AlignedFace) -> None:
    with pytest.raises(ValueError, match="method must be one of contour, kmeans; got 'grabcut'"):
        find_face_mask(aligned.photo, aligned.landmarks, method="grabcut")  # type: ignore[arg-type]


@pytest.mark.parametrize("style", MASK_STYLES)
def test_the_hole_is_the_same_at_a_sixteenth_of_the_size(photo: Photo, face: Face, style: MaskStyle) -> None:
    """In the small photo the face is 115 pixels high: fewer than in the window, so that it is enlarged there."""
    scale = 16 * 115 / face_height(face.landmarks)
    move = np.array([2047.5, 2047.5]) - scale * face.landmarks.mean(0)
    to_large = np.column_stack([scale * np.eye(2), move])
    large = cv2.warpAffine(photo, to_large, (4096, 4096), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    landmarks = scale * face.landmarks + move
    masked, _ = draw_face_mask(large, landmarks, style=style, seed=2)
    fine = segment_face_mask(masked, landmarks).reshape(256, 16, 256, 16).mean((1, 3)) > 0.5
    small = cv2.resize(masked, (256, 256), interpolation=cv2.INTER_AREA)
    assert _iou(segment_face_mask(small, (landmarks + 0.5) / 16 - 0.5), fine) > 0.975


def test_an_outline_that_cannot_be_right_lowers_the_quality(aligned: AlignedFace) -> None:
    """A white board behind the corner of a white face mask: where the cloth ends cannot be told, and the outline runs
    into the board."""
    masked, drawn = draw_face_mask(aligned.photo, aligned.landmarks, color="white", seed=1, ear_loops=False)
    beside = masked.copy()
    rows, columns = np.nonzero(drawn)
    middle = int(rows.mean())
    corner = columns[(rows >= middle - 50) & (rows < middle - 20)].max()
    beside[middle - 50 : middle - 20, corner - 12 : corner + 20] = np.median(masked[drawn], axis=0)
    good, bad = find_face_mask(masked, aligned.landmarks), find_face_mask(beside, aligned.landmarks)
    assert _iou(bad.hole, drawn) < _iou(good.hole, drawn) - 0.04
    assert bad.source == "segmentation" and bad.quality < good.quality - 0.1


@pytest.mark.parametrize("function", [find_face_mask, segment_face_mask])
def test_a_photo_of_another_type_is_a_type_error(function: Callable[..., object], photo: Photo, face: Face) -> None:
    with pytest.raises(TypeError, match="photo must be uint8"):
        function(photo.astype(np.float32), face.landmarks)


def test_beyond_the_border_is_no_evidence(aligned: AlignedFace) -> None:
    """Cloth that the border cuts off is not continued by its last row, for the search to wonder at."""
    masked, _ = draw_face_mask(aligned.photo, aligned.landmarks, color="blue", seed=1, ear_loops=False)
    bottom = int(aligned.landmarks[152, 1] - 0.22 * face_height(aligned.landmarks))
    assert find_face_mask(masked[:bottom], aligned.landmarks).quality > 0.9
