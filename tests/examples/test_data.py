import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from examples.mask_removal.data import DRAWN_SHARE, FaceDataset, batches, random_hole
from examples.mask_removal.views import View, random_view, seen_otherwise
from gatedinpaint.faces import MASK_STYLES, FaceLandmarker, face_height, face_mask_hole


def test_a_sample_keeps_to_the_words_of_the_library(training_set: Path) -> None:
    for index in range(5):
        sample = FaceDataset(training_set, reference_share=1.0)[index]
        assert sample.image.shape == sample.reference.shape == (3, 64, 64)
        assert sample.mask.shape == sample.reference_mask.shape == (1, 64, 64)
        assert -1 <= sample.image.min() < sample.image.max() <= 1
        assert set(sample.mask.unique().tolist()) == {0.0, 1.0}
        assert 0.05 < sample.mask.mean() < 0.5
        assert sample.reference_mask[sample.mask > 0].mean() > 0.9  # it shows the face, and no more than that


def test_randomness_comes_from_seed_epoch_and_index(training_set: Path) -> None:
    dataset = FaceDataset(training_set)
    first = dataset[2]
    np.random.seed(1)  # noqa: NPY002 - the global generators must not matter
    torch.manual_seed(1)
    assert all(torch.equal(a, b) for a, b in zip(first, FaceDataset(training_set)[2], strict=True))
    dataset.epoch = 1
    assert not torch.equal(first.mask, dataset[2].mask)
    assert not torch.equal(first.mask, FaceDataset(training_set, seed=1)[2].mask)


def test_validation_is_fixed_and_disjoint(training_set: Path) -> None:
    training, validation = FaceDataset(training_set), FaceDataset(training_set, validation=True)
    assert (len(training), len(validation)) == (5, 1)
    assert {line["id"] for line in training.samples}.isdisjoint(line["id"] for line in validation.samples)
    before = validation[0].mask
    validation.epoch = 7
    assert torch.equal(before, validation[0].mask)


def test_reference_share(training_set: Path) -> None:
    assert all(FaceDataset(training_set, reference_share=0.0)[i].reference_mask.sum() == 0 for i in range(5))
    assert all(FaceDataset(training_set, reference_share=1.0)[i].reference_mask.sum() > 0 for i in range(5))


@pytest.mark.parametrize("workers", [0, 1])
def test_an_epoch_continued_in_its_middle_is_the_same_epoch(training_set: Path, workers: int) -> None:
    whole = list(batches(FaceDataset(training_set), batch_size=2, epoch=3))
    assert len(whole) == 2  # of five samples the last is dropped
    rest = list(batches(FaceDataset(training_set), batch_size=2, epoch=3, first=1, workers=workers))
    assert len(rest) == 1
    assert all(torch.equal(a, b) for a, b in zip(whole[1], rest[0], strict=True))


def test_loading_does_not_touch_the_global_generator(training_set: Path) -> None:
    torch.manual_seed(0)
    state = torch.get_rng_state()
    list(batches(FaceDataset(training_set), batch_size=2, epoch=0))
    assert torch.equal(state, torch.get_rng_state())


def test_an_empty_or_foreign_folder_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no samples in index.jsonl. Write a training set with prepare.py"):
        FaceDataset(tmp_path)


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("damage", ["empty.npy", "short.npy", "cut.png", "no.png"])
def test_a_damaged_sample_is_named(training_set: Path, tmp_path: Path, damage: str, workers: int) -> None:
    shutil.copytree(training_set, tmp_path / "set")
    id = FaceDataset(training_set).samples[0]["id"]
    path = tmp_path / "set" / "samples" / f"{id}{Path(damage).suffix}"
    if damage == "no.png":
        path.unlink()
    elif damage == "short.npy":
        np.save(path, np.zeros((68, 2)))
    else:
        path.write_bytes(path.read_bytes()[: 0 if damage == "empty.npy" else 500])
    with pytest.raises(ValueError, match=f"^{path.with_suffix('')}: damaged sample: ") as raised:
        list(batches(FaceDataset(tmp_path / "set"), batch_size=5, epoch=0, workers=workers))
    assert "\n" not in str(raised.value)


def test_holes_cover_the_mouth_and_vary(photo: np.ndarray, landmarker: FaceLandmarker) -> None:
    landmarks = landmarker.detect(photo)[0].landmarks
    holes = [random_hole(landmarks, photo.shape[:2], np.random.default_rng(seed)) for seed in range(20)]
    mouth, nose_root = landmarks[13].astype(int), landmarks[168].astype(int)
    assert all(hole[mouth[1], mouth[0]] for hole in holes)
    assert not any(hole[nose_root[1] - 10, nose_root[0]] for hole in holes)
    areas = [hole.sum() for hole in holes]
    assert max(areas) > 1.2 * min(areas)


def test_drawn_outlines_of_all_styles_are_among_the_holes(
    photo: np.ndarray, landmarker: FaceLandmarker, monkeypatch: pytest.MonkeyPatch
) -> None:
    landmarks, asked = landmarker.detect(photo)[0].landmarks, []

    def spy(landmarks: np.ndarray, size: tuple[int, int], **options: object) -> np.ndarray:
        asked.append(options)
        return face_mask_hole(landmarks, size, **options)

    monkeypatch.setattr("examples.mask_removal.data.face_mask_hole", spy)
    for seed in range(100):
        random_hole(landmarks, photo.shape[:2], np.random.default_rng(seed))
    # Three standard deviations of the binomial distribution.
    assert abs(len(asked) / 100 - DRAWN_SHARE) < 3 * (DRAWN_SHARE * (1 - DRAWN_SHARE) / 100) ** 0.5
    assert {options["style"] for options in asked} == set(MASK_STYLES)
    assert {options["ear_loops"] for options in asked} == {False, True}


@pytest.mark.parametrize("view", [View(), View(mirrored=False, turn=-0.25, nod=0.1), View(turn=0.0)], ids=str)
def test_landmarks_move_with_the_view(photo: np.ndarray, landmarker: FaceLandmarker, view: View) -> None:
    landmarks = landmarker.detect(photo)[0].landmarks
    seen, moved = seen_otherwise(photo, landmarks, view)
    found = landmarker.detect(seen)[0].landmarks
    error = np.linalg.norm(found - moved, axis=1).mean() / face_height(landmarks)
    assert error < 0.03  # of the face's height; the landmarker reads the warped face by itself
    assert seen.shape == photo.shape and seen.dtype == np.uint8


def test_the_plain_view_is_the_photo_and_its_light_changes_it(photo: np.ndarray, landmarker: FaceLandmarker) -> None:
    landmarks = landmarker.detect(photo)[0].landmarks
    seen, moved = seen_otherwise(photo, landmarks, View(mirrored=False, turn=0.0))
    assert np.array_equal(seen, photo)
    np.testing.assert_allclose(moved, landmarks, atol=1e-3)
    darker, _ = seen_otherwise(photo, landmarks, View(mirrored=False, turn=0.0, gain=0.5))
    assert darker.mean() == pytest.approx(photo.mean() / 2, abs=1)


def test_random_views_stay_one_to_one() -> None:
    views = [random_view(np.random.default_rng(seed)) for seed in range(200)]
    assert max(abs(view.turn) for view in views) < 0.5
    assert len(set(views)) == 200
