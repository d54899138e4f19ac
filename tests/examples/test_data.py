import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from examples.mask_removal.data import Batch, FaceDataset, batches
from examples.mask_removal.face_dataset import held_out
from examples.mask_removal.holes import DRAWN_SHARE, FOUND_SHARE, random_hole
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


def test_a_set_too_small_for_a_validation_part_says_how_many_photos_it_takes(own_set: Path) -> None:
    index = own_set / "index.jsonl"
    lines = index.read_text("utf-8").splitlines(keepends=True)
    index.write_text("".join(line for line in lines if not held_out(json.loads(line)["id"])), encoding="utf-8")
    with pytest.raises(ValueError, match="falls into the validation part. 4% of the people .* a hundred photos"):
        FaceDataset(own_set, validation=True)


@pytest.fixture
def own_set(training_set: Path, tmp_path: Path) -> Path:
    return shutil.copytree(training_set, tmp_path / "set")


def damage(folder: Path, id: str) -> None:
    (folder / "samples" / f"{id}.png").write_bytes(b"\x89PNG")


@pytest.mark.parametrize("kind", ["empty.npy", "short.npy", "far.npy", "nan.npy", "cut.png", "no.png"])
def test_for_a_damaged_sample_the_next_good_one_is_taken(own_set: Path, kind: str) -> None:
    dataset = FaceDataset(own_set, damaged_limit=0.5)
    id, position = dataset.samples[4]["id"], 4
    path = own_set / "samples" / f"{id}{Path(kind).suffix}"
    wrong = {"short": np.zeros((68, 2)), "far": np.full((478, 2), 1e20), "nan": np.full((478, 2), np.nan)}
    if kind == "no.png":
        path.unlink()
    elif (array := wrong.get(Path(kind).stem)) is not None:
        np.save(path, array)
    else:
        path.write_bytes(path.read_bytes()[: 0 if kind == "empty.npy" else 500])
    drawn = dataset.draw(position)
    assert torch.equal(drawn.batch.image, FaceDataset(own_set)[0].image)  # the index is a circle
    assert drawn.replaced == 1 and list(drawn.damaged) == [id]
    assert f"{own_set}: damaged sample: {id}: " in drawn.damaged[id]
    assert all(torch.equal(a, b) for a, b in zip(drawn.batch, dataset[position], strict=True))
    assert dataset.damaged == drawn.damaged


@pytest.mark.parametrize("workers", [0, 2])
def test_damaged_samples_are_named_and_the_epoch_goes_on(own_set: Path, workers: int) -> None:
    dataset = FaceDataset(own_set, damaged_limit=0.4)
    bad = [dataset.samples[position]["id"] for position in (1, 3)]
    for id in bad:
        damage(own_set, id)
    got = list(batches(dataset, batch_size=1, epoch=0, workers=workers))
    assert len(got) == 5 and sorted(dataset.damaged) == bad
    again = list(batches(FaceDataset(own_set, damaged_limit=0.4), batch_size=1, epoch=0, first=2))
    assert all(torch.equal(a, b) for x, y in zip(got[2:], again, strict=True) for a, b in zip(x, y, strict=True))


@pytest.mark.parametrize("workers", [0, 1])
def test_above_the_limit_the_epoch_ends_in_one_line(own_set: Path, workers: int) -> None:
    dataset = FaceDataset(own_set, damaged_limit=0.2)
    for position in (1, 3):
        damage(own_set, dataset.samples[position]["id"])
    with pytest.raises(
        ValueError, match=r"^2 of 5 samples are damaged, more than the limit of 20%; the last: "
    ) as error:
        list(batches(dataset, batch_size=1, epoch=0, workers=workers))
    assert "\n" not in str(error.value) and len(dataset.damaged) == 2


def test_a_set_that_is_gone_is_not_searched_to_its_end(own_set: Path) -> None:
    dataset = FaceDataset(own_set)
    shutil.rmtree(own_set / "samples")
    with pytest.raises(ValueError, match="^2 of 5 samples are damaged, more than the limit of 20%"):
        dataset[0]


def test_a_set_that_is_gone_ends_the_epoch_whatever_the_limit(own_set: Path) -> None:
    dataset = FaceDataset(own_set, damaged_limit=1.0)
    shutil.rmtree(own_set / "samples")
    with pytest.raises(ValueError, match="^all 5 samples are damaged; the last: .*Prepare the set again"):
        dataset[0]


def test_a_damaged_second_photo_gives_way_to_the_same_seen_otherwise(own_set: Path) -> None:
    index = own_set / "index.jsonl"
    lines = [json.loads(line) for line in index.read_text().splitlines()]
    training = [line["id"] for line in lines if "skipped" not in line and not held_out(line["id"])]
    for line in lines:
        if line["id"] in training[:2]:
            line["identity"] = next(name for name in ("eileen", "collins", "c") if not held_out(name))
    index.write_text("".join(json.dumps(line) + "\n" for line in lines))
    dataset = FaceDataset(own_set, reference_share=1.0)
    position = [line["id"] for line in dataset.samples].index(training[0])
    second = dataset[position]
    damage(own_set, training[1])
    drawn = dataset.draw(position)
    assert drawn.replaced == 0 and list(drawn.damaged) == [training[1]]
    assert torch.equal(drawn.batch.image, second.image) and torch.equal(drawn.batch.mask, second.mask)
    assert drawn.batch.reference_mask.sum() > 0
    assert not torch.equal(drawn.batch.reference, second.reference)


def identify(folder: Path, identities: dict[str, str]) -> None:
    """Say who is on some of the photos."""
    index = folder / "index.jsonl"
    lines = [json.loads(line) for line in index.read_text().splitlines()]
    lines = [line | ({"identity": identities[line["id"]]} if line["id"] in identities else {}) for line in lines]
    index.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_nobody_is_in_both_parts_whatever_the_photos_are_called(own_set: Path) -> None:
    first, second = (line["id"] for line in FaceDataset(own_set).samples[:2])
    held = next(name for name in map(str, range(1000)) if held_out(name))
    identify(own_set, {first: held, second: held})
    training, validation = FaceDataset(own_set), FaceDataset(own_set, validation=True)
    assert (len(training), len(validation)) == (3, 3)
    assert {first, second} < {line["id"] for line in validation.samples}


def test_the_second_photo_is_another_one(own_set: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (line["id"] for line in FaceDataset(own_set).samples[:2])
    identify(own_set, dict.fromkeys((first, second), next(n for n in ("a", "b", "c") if not held_out(n))))
    dataset, loaded = FaceDataset(own_set, reference_share=1.0), []
    load = dataset.load
    monkeypatch.setattr(dataset, "load", lambda position: loaded.append(position) or load(position))
    for dataset.epoch in range(6):
        dataset.draw(1)
    assert loaded == [1, 0] * 6


def test_the_limit_is_that_of_an_epoch(own_set: Path) -> None:
    dataset = FaceDataset(own_set, damaged_limit=0.3)
    damage(own_set, dataset.samples[1]["id"])  # one of five in each of three epochs
    assert len(list(batches(dataset, batch_size=1, epoch=0, epochs=3))) == 15


def test_the_shares_of_the_ranks_make_the_batch(training_set: Path) -> None:
    def loaded(**options: int) -> list[Batch]:
        return list(batches(FaceDataset(training_set), batch_size=2, epoch=2, **options))

    for first in (0, 1):
        whole = loaded(first=first)
        shares = [loaded(first=first, rank=rank, world_size=2) for rank in (0, 1)]
        assert len(whole) == len(shares[0]) == len(shares[1]) == 2 - first
        for batch, *parts in zip(whole, *shares, strict=True):
            for tensor, *pieces in zip(batch, *parts, strict=True):
                assert torch.equal(tensor, torch.cat(pieces))


def test_ranks_share_equally_or_not_at_all(training_set: Path) -> None:
    with pytest.raises(ValueError, match="batch_size 4 cannot be shared equally by 3 ranks; take a multiple of 3."):
        list(batches(FaceDataset(training_set), batch_size=4, epoch=0, world_size=3))


def test_a_set_that_is_not_finished_is_refused(own_set: Path) -> None:
    (own_set / "index.00001.jsonl").write_text("")
    with pytest.raises(ValueError, match="not finished. Run the same prepare command again"):
        FaceDataset(own_set)


def test_found_holes_are_among_the_holes_of_those_who_have_one(photo: np.ndarray, landmarker: FaceLandmarker) -> None:
    landmarks = landmarker.detect(photo)[0].landmarks
    found = np.zeros(photo.shape[:2], bool)
    found[300:340, 100:160] = True  # where no landmarks would put one
    holes = [random_hole(landmarks, found.shape, np.random.default_rng(seed), found=found) for seed in range(60)]
    taken = [hole for hole in holes if hole[320, 130]]
    # Three standard deviations of the binomial distribution.
    assert abs(len(taken) / 60 - FOUND_SHARE) < 3 * (FOUND_SHARE * (1 - FOUND_SHARE) / 60) ** 0.5
    assert len({hole.sum() for hole in taken}) == len(taken)  # jittered
    unit = face_height(landmarks)
    for hole in taken:
        lines, columns = np.nonzero(hole)
        middle = np.array([columns.mean(), lines.mean()])
        assert np.abs(middle - (129.5, 319.5)).max() < 0.04 * unit  # four standard deviations


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

    monkeypatch.setattr("examples.mask_removal.holes.face_mask_hole", spy)
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


def test_landmarks_believed_under_a_drawn_mask_come_with_a_set_and_are_near_the_true_ones(training_set: Path) -> None:
    dataset = FaceDataset(training_set)
    errors = []
    for position, line in enumerate(dataset.samples):
        assert line["covered_landmarks"]
        face = dataset.load(position)
        errors.append(np.linalg.norm(face.believed - face.landmarks, axis=1).mean() / face_height(face.landmarks))
    assert min(errors) > 0.003 and max(errors) < 0.06


def test_a_set_without_them_takes_the_true_ones(own_set: Path) -> None:
    index = own_set / "index.jsonl"
    lines = [json.loads(line) for line in index.read_text().splitlines()]
    for line in lines:
        line.pop("covered_landmarks", None)
    index.write_text("".join(json.dumps(line) + "\n" for line in lines))
    face = FaceDataset(own_set).load(0)
    np.testing.assert_array_equal(face.believed, face.landmarks)
