from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from scipy.ndimage import binary_fill_holes

from examples.mask_removal.painting import SIZES, paint_crop
from examples.mask_removal.photo_holes import MARGIN
from examples.mask_removal.pipeline import WEIGHTS, Origin, load_default, remove_mask
from examples.mask_removal.reference import LEAST_CONFIDENCE, reference_channels
from examples.mask_removal.views import View, seen_otherwise
from gatedinpaint import InpaintGenerator
from gatedinpaint.faces import (
    MASK_STYLES,
    FaceLandmarker,
    FaceMask,
    Landmarker,
    MaskNotFoundError,
    MaskStyle,
    NoFaceError,
    WarpedReference,
    draw_face_mask,
    face_height,
    landmarks_from,
    mask_polygon,
    polygon_hole,
    scale_to_hold,
    warp_reference,
)


def test_the_default_weights_are_small_and_have_a_model_card() -> None:
    assert (WEIGHTS / "model.safetensors").stat().st_size <= 16_000_000
    card = (WEIGHTS / "README.md").read_text(encoding="utf-8")
    assert "research" in card.lower()
    assert load_default().reference


def test_outside_the_hole_every_byte_stays(masked: np.ndarray, landmarker: FaceLandmarker) -> None:
    before = masked.copy()
    removal = remove_mask(masked, load_default(), landmarker)
    assert np.array_equal(masked, before)
    assert removal.photo.shape == masked.shape and removal.photo.dtype == np.uint8
    assert np.array_equal(removal.photo[~removal.hole], masked[~removal.hole])
    assert (removal.photo[removal.hole] != masked[removal.hole]).any(axis=1).mean() > 0.95


def test_the_default_weights_beat_telea_and_the_colour_of_the_visible_face(
    photo: np.ndarray, masked: np.ndarray, reference: np.ndarray, landmarker: FaceLandmarker
) -> None:
    landmarks = landmarker.detect(photo)[0].landmarks
    skin = np.median(photo[tuple(landmarks[[50, 280, 151, 9]].astype(int).T[::-1])], axis=0)
    for second in (None, reference):
        removal = remove_mask(masked, load_default(), landmarker, reference=second)
        truth = photo[removal.hole].astype(float)
        error = np.abs(removal.photo[removal.hole] - truth).mean()
        assert error < 0.8 * np.abs(skin - truth).mean()
        telea = cv2.inpaint(masked, removal.hole.astype(np.uint8), 3, cv2.INPAINT_TELEA)
        assert error < 0.8 * np.abs(telea[removal.hole] - truth).mean()


def test_every_pixel_is_original_guided_or_invented(
    masked: np.ndarray, reference: np.ndarray, landmarker: FaceLandmarker
) -> None:
    generator = InpaintGenerator(2).eval()
    alone = remove_mask(masked, generator, landmarker)
    assert np.array_equal(alone.origin == Origin.ORIGINAL, ~alone.hole)
    assert np.array_equal(alone.origin == Origin.INVENTED, alone.hole)
    assert alone.faces[0].reference is None
    guided = remove_mask(masked, generator, landmarker, reference=reference)
    assert np.array_equal(guided.hole, alone.hole)
    assert (guided.origin[guided.hole] == Origin.GUIDED).mean() > 0.8
    face = guided.faces[0]
    assert face.reference.shape == face.aligned.photo.shape
    assert not np.array_equal(guided.photo, alone.photo)
    assert set(guided.seconds) == {"landmarks", "find the hole", "warp the reference", "generator", "paste"}


def test_the_hole_reaches_beyond_what_was_found(masked: np.ndarray, landmarker: FaceLandmarker) -> None:
    face = remove_mask(masked, InpaintGenerator(2).eval(), landmarker).faces[0]
    assert face.face_mask.source == "segmentation" and face.face_mask.quality > 0.8
    margin = round(MARGIN * face_height(face.face.landmarks))
    assert margin >= 2
    for found, hole in zip(_outline(face.face_mask.hole), _outline(face.hole), strict=True):
        assert abs(abs(hole - found) - margin) <= 1


def _outline(hole: np.ndarray) -> list[int]:
    """First and last row and column."""
    lines = [np.flatnonzero(hole.any(axis)) for axis in (0, 1)]
    return [int(line[end]) for line in lines for end in (0, -1)]


def test_nothing_of_the_face_mask_reaches_the_generator(masked: np.ndarray, landmarker: FaceLandmarker) -> None:
    generator = load_default()
    first = remove_mask(masked, generator, landmarker).faces[0]
    mask = first.aligned.cover(first.hole)
    repainted = np.where(mask[..., None], np.array([255, 0, 255], np.uint8), first.aligned.photo)
    nowhere = np.zeros(mask.shape, bool)
    with torch.inference_mode():
        as_it_is = paint_crop(generator, first.aligned.photo, mask, None, nowhere, size=SIZES[0])
        assert np.array_equal(paint_crop(generator, repainted, mask, None, nowhere, size=SIZES[0]), as_it_is)


def test_a_crop_enlarged_for_its_hole_is_filled_in_the_frame_of_training(photo: np.ndarray) -> None:
    generator, crop = load_default(), photo[:144, 200:344]
    hole = np.zeros((144, 144), bool)
    hole[70:120, 50:100] = True
    middle = np.s_[8:136, 8:136]
    nowhere = np.zeros_like(hole)
    with torch.inference_mode():
        alone = paint_crop(generator, crop[middle], hole[middle], None, nowhere[middle], size=SIZES[0])
        whole = paint_crop(generator, crop, hole, None, nowhere, size=SIZES[0])
        assert np.array_equal(whole[middle], alone)
        hole[130:142, 60:80] = True  # reaches out of the middle: there the whole crop serves
        reaching = paint_crop(generator, crop, hole, None, nowhere, size=SIZES[0])
    assert not np.array_equal(reaching[136:], crop[136:])
    assert np.array_equal(whole[136:], crop[136:])


@pytest.fixture(scope="module")
def group(photo: np.ndarray, masked: np.ndarray) -> tuple[np.ndarray, Landmarker]:
    """A masked face, a bare one, and the masked one smaller, with the landmarks that they were drawn with."""
    small = masked[::2, ::2]
    faces = [FaceLandmarker().detect(photo)[0].landmarks + np.float32([x, 0]) for x in (0, 512)]
    landmarks = [*faces, (faces[0] + 0.5) / 2 - 0.5 + np.float32([1024, 0])]
    beside = np.full((512, 1024 + 256, 3), 128, np.uint8)
    beside[:, :512], beside[:, 512:1024], beside[:256, 1024:] = masked, photo, small
    return beside, landmarks_from(landmarks)


def test_bare_faces_are_left_alone(group: tuple[np.ndarray, Landmarker]) -> None:
    photo, landmarker = group
    removal = remove_mask(photo, InpaintGenerator(2).eval(), landmarker)
    assert len(removal.faces) == 2
    assert not removal.hole[:, 512:1024].any()
    assert removal.hole[:, :512].any() and removal.hole[:, 1024:].any()
    assert np.array_equal(removal.photo[~removal.hole], photo[~removal.hole])
    assert np.array_equal(removal.hole, removal.faces[0].hole | removal.faces[1].hole)


@pytest.mark.parametrize(("which", "columns"), [(0, slice(0, 512)), (2, slice(1024, None))])
def test_one_of_several_faces(group: tuple[np.ndarray, Landmarker], which: int, columns: slice) -> None:
    photo, landmarker = group
    removal = remove_mask(photo, InpaintGenerator(2).eval(), landmarker, faces=which)
    assert len(removal.faces) == 1
    assert removal.hole.sum() == removal.hole[:, columns].sum() > 0


def test_a_face_found_twice_is_filled_once(masked: np.ndarray, landmarker: FaceLandmarker) -> None:
    landmarks = landmarker.detect(masked)[0].landmarks
    generator = InpaintGenerator(2).eval()
    removal = remove_mask(masked, generator, landmarks_from([landmarks, landmarks]), faces="all")
    assert len(removal.faces) == 1
    one = remove_mask(masked, generator, landmarks_from(landmarks), faces=np.int64(0))
    assert np.array_equal(removal.photo, one.photo)


def test_the_reference_is_left_out_where_it_is_unsure(photo: np.ndarray, landmarker: FaceLandmarker) -> None:
    landmarks = landmarker.detect(photo)[0].landmarks
    hole = np.zeros(photo.shape[:2], bool)
    second, moved = seen_otherwise(photo, landmarks, View(mirrored=True, turn=0.3))
    warped, known = reference_channels(second, moved, photo, landmarks, hole)
    sure = warp_reference(second, moved, landmarks, photo.shape[:2], target=photo, hole=hole)
    trusted = sure.known & (sure.confidence > LEAST_CONFIDENCE)
    assert np.array_equal(known, binary_fill_holes(trusted) & sure.known)
    assert (sure.known & ~known).any()
    assert not warped[~known].any() and np.array_equal(warped[known], sure.photo[known])


def test_the_reference_has_no_gap_where_it_is_surrounded(photo: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    known, confidence = np.zeros((64, 64), bool), np.ones((64, 64), np.float32)
    known[8:56, 8:56] = True
    known[28:30, 28:30] = False  # does not show the face
    confidence[20:40, 20:40] = LEAST_CONFIDENCE / 2  # surrounded
    confidence[44:60, 44:60] = LEAST_CONFIDENCE / 2  # at the border
    warped = WarpedReference(np.full((64, 64, 3), 9, np.uint8), known, confidence, method="spline", folded=False)
    monkeypatch.setattr("examples.mask_removal.reference.warp_reference", lambda *_, **__: warped)
    _, shown = reference_channels(photo, np.zeros((478, 2)), photo, np.zeros((478, 2)), np.zeros((64, 64), bool))
    expected = known.copy()
    expected[44:, 44:] = False
    assert np.array_equal(shown, expected)


def test_asking_for_what_is_not_there(
    group: tuple[np.ndarray, Landmarker], photo: np.ndarray, landmarker: FaceLandmarker
) -> None:
    generator = InpaintGenerator(2).eval()
    with pytest.raises(MaskNotFoundError, match="no face mask found"):
        remove_mask(*group[:1], generator, group[1], faces=1)
    with pytest.raises(NoFaceError, match="face number 3 was asked for, counted from 0; found in the photo: 3"):
        remove_mask(group[0], generator, group[1], faces=3)
    with pytest.raises(ValueError, match='faces must be "masked", "all" or a number from 0 on'):
        remove_mask(group[0], generator, group[1], faces="some")
    with pytest.raises(ValueError, match="2 people in the photo wear a face mask. Choose one: 0"):
        remove_mask(group[0], generator, group[1], reference=photo)
    with pytest.raises(MaskNotFoundError, match="no face mask found"):
        remove_mask(photo, generator, landmarker)
    with pytest.raises(ValueError, match="a number from 0 on; got True"):
        remove_mask(group[0], generator, group[1], faces=True)
    nothing_done = remove_mask(photo, generator, landmarker, faces="all")
    assert np.array_equal(nothing_done.photo, photo) and nothing_done.photo is not photo
    assert not nothing_done.hole.any() and nothing_done.faces == []


def test_a_hole_of_ones_own(group: tuple[np.ndarray, Landmarker], photo: np.ndarray) -> None:
    together, landmarker = group
    generator = InpaintGenerator(2).eval()
    hole = np.zeros(together.shape[:2], bool)
    hole[150:190, 700:760] = True  # over the mouth of the bare face in the middle
    removal = remove_mask(together, generator, landmarker, hole=hole)
    assert np.array_equal(removal.hole, hole)  # no pixel more, no pixel less
    assert np.array_equal(removal.photo[~hole], together[~hole])
    assert (removal.photo[hole] != together[hole]).any(axis=1).mean() > 0.9
    (face,) = removal.faces
    assert face.face_mask is None and 512 < face.face.landmarks[:, 0].mean() < 1024
    assert remove_mask(together, generator, landmarker, hole=hole, reference=photo).faces[0].reference is not None

    hole[150:190, 190:250] = True  # and another part on the first face
    removal = remove_mask(together, generator, landmarker, hole=hole)
    assert [int(face.hole.sum()) for face in removal.faces] == [40 * 60, 40 * 60]
    with pytest.raises(ValueError, match="2 people in the photo are touched by the hole"):
        remove_mask(together, generator, landmarker, hole=hole, reference=photo)


def test_holes_that_cannot_be_filled(masked: np.ndarray, landmarker: FaceLandmarker) -> None:
    generator = InpaintGenerator(2).eval()
    hole = np.zeros(masked.shape[:2], bool)
    with pytest.raises(ValueError, match="the hole is empty"):
        remove_mask(masked, generator, landmarker, hole=hole)
    hole[-20:, :20] = True  # a corner of the photo, far below the face
    with pytest.raises(ValueError, match="reaches too far from the face"):
        remove_mask(masked, generator, landmarker, hole=hole)
    for wrong in (hole[:-1], hole.astype(np.uint8)):
        with pytest.raises(ValueError, match=r"hole must be bool of the photo's size \(512, 512\); got"):
            remove_mask(masked, generator, landmarker, hole=wrong)


def test_no_face(masked: np.ndarray, landmarker: FaceLandmarker) -> None:
    wall = np.full((300, 300, 3), 120, np.uint8)
    with pytest.raises(NoFaceError, match="no face found in the photo"):
        remove_mask(wall, load_default(), landmarker)
    with pytest.raises(NoFaceError, match="no face found in the reference"):
        remove_mask(masked, load_default(), landmarker, reference=wall)


@pytest.mark.parametrize("style", MASK_STYLES)
def test_a_reference_with_a_face_mask_is_refused(
    style: MaskStyle, photo: np.ndarray, masked: np.ndarray, landmarker: FaceLandmarker
) -> None:
    landmarks = landmarker.detect(photo)[0].landmarks
    second, drawn = draw_face_mask(photo, landmarks, style=style, seed=2)
    lower_face = polygon_hole(mask_polygon(landmarks), (512, 512))
    with pytest.raises(ValueError, match=r"without a face mask; got one that covers \d+% of the lower face") as error:
        remove_mask(masked, load_default(), landmarker, reference=second)
    said = int(str(error.value).split("%")[0].split()[-1]) / 100
    assert abs(said - drawn[lower_face].mean()) < 0.08


def test_a_bare_face_with_a_moustache_a_shadow_or_a_microphone_may_serve(
    photo: np.ndarray, masked: np.ndarray, landmarker: FaceLandmarker
) -> None:
    landmarks = landmarker.detect(photo)[0].landmarks
    lower_face = polygon_hole(mask_polygon(landmarks), (512, 512)).astype(np.float32)
    shadow = (photo * (1 - 0.4 * cv2.GaussianBlur(lower_face, (0, 0), 8)[..., None])).astype(np.uint8)
    moustache, microphone = photo.copy(), photo.copy()
    outline = landmarks[[2, 326, 410, 291, 269, 0, 39, 61, 186, 97]]
    cv2.fillPoly(moustache, [outline.astype(np.int32)], (70, 50, 40))
    x, y = landmarks[13].astype(int).tolist()
    cv2.circle(microphone, (x + 25, y + 20), 22, (40, 40, 40), -1)
    for second in (shadow, moustache, microphone):
        assert remove_mask(masked, load_default(), landmarker, reference=second).faces[0].reference is not None


def test_a_generator_of_any_size_and_photos_of_any_size(masked: np.ndarray, landmarker: FaceLandmarker) -> None:
    for photo, size in (
        (masked, 100),
        (np.ascontiguousarray(masked[::3, ::3]), 128),
        (masked.repeat(4, 0).repeat(4, 1), 64),
    ):
        removal = remove_mask(photo, InpaintGenerator(2).eval(), landmarker, size=size)
        assert removal.photo.shape == photo.shape
        assert removal.hole.any()
        assert np.array_equal(removal.photo[~removal.hole], photo[~removal.hole])


def test_model_card_names_the_command(masked: np.ndarray) -> None:
    assert "examples.mask_removal.train" in (Path(WEIGHTS) / "README.md").read_text(encoding="utf-8")


class White:
    """Paints all white."""

    reference = False

    def paint(self, crop: np.ndarray, *_: object) -> np.ndarray:
        return np.full_like(crop, 255)


def test_of_two_faces_side_by_side_the_second_sees_what_the_first_became(
    photo: np.ndarray, landmarker: FaceLandmarker
) -> None:
    landmarks = landmarker.detect(photo)[0].landmarks
    x, y = landmarks[13].astype(int).tolist()
    hole = np.zeros(photo.shape[:2], bool)
    hole[y - 30 : y + 10, x - 20 : x + 20] = True
    hole[y - 30 : y + 10, x + 30 : x + 70] = True
    removal = remove_mask(photo, White(), landmarks_from([landmarks, landmarks + np.float32([50, 0])]), hole=hole)
    first, second = removal.faces
    inner = np.s_[y - 20 : y, x : x + 10]
    assert first.hole[inner].all() and not second.hole[inner].any()
    seen = second.aligned.restore(second.aligned.photo)[inner].astype(int)
    assert np.abs(seen - removal.photo[inner]).mean() < 4
    assert np.abs(seen - photo[inner]).mean() > 40


def test_a_face_mask_that_hangs_far_down_is_filled_to_its_end(
    photo: np.ndarray, landmarker: FaceLandmarker, monkeypatch: pytest.MonkeyPatch
) -> None:
    landmarks = landmarker.detect(photo)[0].landmarks
    x, y = landmarks[13].astype(int).tolist()
    hole = np.zeros(photo.shape[:2], bool)
    hole[y - 20 : y + 160, x - 30 : x + 30] = True
    assert scale_to_hold(landmarks, hole, largest=9.0) > 2
    found = FaceMask(hole, 1.0, "segmentation", 1.0)
    monkeypatch.setattr("examples.mask_removal.photo_holes.find_face_mask", lambda *_: found)
    removal = remove_mask(photo, White(), landmarker)
    inner = np.s_[y - 5 : y + 145, x - 15 : x + 15]
    assert removal.photo[inner].min() > 180
