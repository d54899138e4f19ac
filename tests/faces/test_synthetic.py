import numpy as np
import pytest
import scipy.ndimage

from gatedinpaint.faces import AlignedFace, Face, align, draw_face_mask
from gatedinpaint.faces.synthetic import COLORS
from gatedinpaint.image import Photo


@pytest.mark.parametrize("color", [*COLORS, (200, 40, 90)])
@pytest.mark.parametrize("ear_loops", [False, True])
def test_only_the_hole_changes_and_nearly_all_of_it(
    aligned: AlignedFace, color: str | tuple[int, int, int], ear_loops: bool
) -> None:
    before = aligned.photo.copy()
    masked, hole = draw_face_mask(aligned.photo, aligned.landmarks, color=color, ear_loops=ear_loops, seed=1)
    np.testing.assert_array_equal(aligned.photo, before)
    np.testing.assert_array_equal(masked[~hole], before[~hole])
    assert (masked[hole] != before[hole]).any(-1).mean() > 0.98
    assert masked.dtype == np.uint8 and hole.dtype == np.bool_ and hole.shape == masked.shape[:2]


def test_it_covers_nose_mouth_and_chin_but_not_the_eyes(aligned: AlignedFace) -> None:
    _, hole = draw_face_mask(aligned.photo, aligned.landmarks)
    at = {index: bool(hole[tuple(aligned.landmarks[index].round().astype(int)[::-1])]) for index in range(468)}
    assert all(at[index] for index in (4, 0, 17, 61, 291, 50, 280, 152))
    assert not any(at[index] for index in (159, 145, 386, 374, 33, 263, 10, 105, 334))


def test_color_is_that_of_the_cloth(aligned: AlignedFace) -> None:
    for color, rgb in (("green", COLORS["green"]), ("black", COLORS["black"]), ((200, 40, 90), (200, 40, 90))):
        masked, hole = draw_face_mask(aligned.photo, aligned.landmarks, color=color, ear_loops=False)
        mean = masked[scipy.ndimage.binary_erosion(hole, iterations=3)].mean(0)
        np.testing.assert_allclose(mean / np.linalg.norm(mean), rgb / np.linalg.norm(rgb), atol=0.06)


def test_the_light_of_the_photo_falls_on_the_cloth(aligned: AlignedFace) -> None:
    even, hole = draw_face_mask(aligned.photo, aligned.landmarks, color="white", ear_loops=False)
    left, right = hole.copy(), hole.copy()
    left[:, 115:], right[:, :140] = False, False
    dimmed = (aligned.photo * np.linspace(0.3, 1, 256)[None, :, None]).astype(np.uint8)  # 0.55 to 0.75 over the cloth
    side, _ = draw_face_mask(dimmed, aligned.landmarks, color="white", ear_loops=False)
    assert side[left].mean() / side[right].mean() < 0.9 * even[left].mean() / even[right].mean()
    dark, _ = draw_face_mask(aligned.photo // 4, aligned.landmarks, color="white", ear_loops=False)
    assert dark[hole].mean() < 0.85 * even[hole].mean()


def test_a_seed_gives_one_drawing_and_seeds_differ(aligned: AlignedFace) -> None:
    first, second, other = (draw_face_mask(aligned.photo, aligned.landmarks, seed=seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
    assert (first[1] != other[1]).sum() > 50


def test_ear_loops_are_thin_and_beyond_the_cloth(aligned: AlignedFace) -> None:
    _, bare = draw_face_mask(aligned.photo, aligned.landmarks, ear_loops=False)
    _, looped = draw_face_mask(aligned.photo, aligned.landmarks, ear_loops=True)
    assert (looped & bare == bare).all()
    loops = looped & ~bare
    assert 0.005 * bare.sum() < loops.sum() < 0.12 * bare.sum()
    assert not scipy.ndimage.binary_erosion(loops, iterations=3).any()
    assert scipy.ndimage.label(bare)[1] == 1


def test_size_does_not_matter(photo: Photo, face: Face) -> None:
    small, large = (align(photo, face.landmarks, size=size) for size in (128, 1024))
    _, hole = draw_face_mask(small.photo, small.landmarks, seed=2)
    _, fine = draw_face_mask(large.photo, large.landmarks, seed=2)
    coarse = fine.reshape(128, 8, 128, 8).mean((1, 3)) > 0.5
    assert (hole & coarse).sum() / (hole | coarse).sum() > 0.93


def test_a_face_cut_off_by_the_border(photo: Photo, face: Face) -> None:
    cut = photo[:150, 200:]
    masked, hole = draw_face_mask(cut, face.landmarks - [200, 0])
    np.testing.assert_array_equal(masked[~hole], cut[~hole])
    assert hole[-1].any() and hole[:, 0].any()
    masked, hole = draw_face_mask(photo, face.landmarks + np.array([5000, 0]))
    assert not hole.any() and (masked == photo).all() and masked is not photo


def test_unknown_options_are_refused(aligned: AlignedFace) -> None:
    with pytest.raises(ValueError, match="style must be one of surgical; got 'n95'"):
        draw_face_mask(aligned.photo, aligned.landmarks, style="n95")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"color must be one of blue, white.*got 'mauve'"):
        draw_face_mask(aligned.photo, aligned.landmarks, color="mauve")
    for bad in ((0, 0, 256), (1, 2)):
        with pytest.raises(ValueError, match="RGB from 0 to 255"):
            draw_face_mask(aligned.photo, aligned.landmarks, color=bad)  # type: ignore[arg-type]
