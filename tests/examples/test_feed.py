from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from examples.mask_removal.config import smoke
from examples.mask_removal.data import Batch, FaceDataset
from examples.mask_removal.distributed import Ranks, device_of, ranks
from examples.mask_removal.feed import Feed, halved

CPU = torch.device("cpu")
CONFIG = replace(smoke(), batch_size=4)


def feed(training_set: Path, *, rank: int = 0, world_size: int = 1, **settings: Any) -> Feed:
    config = replace(CONFIG, **settings)
    return Feed(FaceDataset(training_set, seed=config.seed), config, Ranks(rank, world_size, CPU))


def test_ranks_and_parts_together_are_the_batch_of_one_process(training_set: Path) -> None:
    alone = [parts[0] for parts in feed(training_set).parts(0, 3)]
    assert len(alone) == 3  # three epochs of one batch each
    for world_size, accumulation in ((2, 1), (4, 1), (1, 2), (2, 2)):
        of_ranks = [
            list(feed(training_set, rank=rank, world_size=world_size, accumulation=accumulation).parts(0, 3))
            for rank in range(world_size)
        ]
        for step, whole in enumerate(alone):
            parts = [part for steps in of_ranks for part in steps[step]]
            assert len(parts) == world_size * accumulation
            for name, expected in zip(Batch._fields, whole, strict=True):
                halves = [getattr(part, name).chunk(2) for part in parts]  # images, then their twins
                joined = torch.cat([images for images, _ in halves] + [twins for _, twins in halves])
                assert torch.equal(joined, expected), (name, world_size, accumulation, step)


def test_a_step_is_the_same_wherever_the_feed_began(training_set: Path) -> None:
    whole = list(feed(training_set, batch_size=2).parts(0, 5))
    resumed = list(feed(training_set, batch_size=2).parts(3, 5))
    for first, second in zip(whole[3:], resumed, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(first[0], second[0], strict=True))


def test_twins_differ_between_places_and_epochs(training_set: Path) -> None:
    steps = feed(training_set)
    brightness = [
        (part.image[4:].flip(-1) - part.image[:4]).mean((1, 2, 3)) for part in (parts[0] for parts in steps.parts(0, 2))
    ]
    changes = torch.cat(brightness)
    assert len(changes.unique()) == 8


def test_without_the_contrastive_loss_some_images_are_changed_and_none_added(training_set: Path) -> None:
    weights = replace(CONFIG.weights, contrastive=0.0)
    plain = [parts[0] for parts in feed(training_set).parts(0, 4)]
    some = [parts[0] for parts in feed(training_set, weights=weights).parts(0, 4)]
    chosen = []
    for both, one in zip(plain, some, strict=True):
        images, twins = both.image.chunk(2)
        assert one.image.shape == images.shape
        for n, image in enumerate(one.image):
            changed = torch.equal(image, twins[n])
            assert changed or torch.equal(image, images[n])
            assert torch.equal(one.mask[n], both.mask[n + len(images) * changed])
            chosen.append(changed)
    assert 4 <= sum(chosen) <= 12  # of 16
    halves = [
        [part for steps in feed(training_set, weights=weights, rank=rank, world_size=2, accumulation=2).parts(0, 1)
         for part in steps]
        for rank in range(2)
    ]  # fmt: skip
    assert torch.equal(torch.cat([part.image for parts in halves for part in parts]), some[0].image)


def test_a_batch_that_ranks_cannot_share(training_set: Path) -> None:
    with pytest.raises(ValueError, match="batch_size 4 must be a multiple of ranks × accumulation \\(3 × 1\\)"):
        feed(training_set, world_size=3)
    with pytest.raises(ValueError, match="batch_size 4 in 4 parts leaves 1 image to a part"):
        feed(training_set, accumulation=4)
    with pytest.raises(ValueError, match="5 training samples are fewer than a batch of 6"):
        feed(training_set, batch_size=6)


def test_alone_there_is_one_rank() -> None:
    with ranks("cpu") as place:
        assert (place.rank, place.world_size, place.is_first, place.device) == (0, 1, True, CPU)
        assert place.mean({"a": 2.0}) == {"a": 2.0}
        assert place.gather(3) == [3]
        layer = torch.nn.Linear(1, 1)
        assert place.parallel(layer) is layer


def test_each_process_has_a_gpu_of_its_own() -> None:
    """``torch.cuda.set_device`` refuses a device without a number, also where there is one GPU only."""
    assert device_of("cuda", 0, alone=True) == torch.device("cuda", 0)
    assert device_of("cuda", 3, alone=False) == torch.device("cuda", 3)
    assert device_of("cuda:1", 0, alone=True) == torch.device("cuda", 1)
    assert device_of("cpu", 3, alone=False) == torch.device("cpu")
    with pytest.raises(ValueError, match="--device cuda:1: several processes need a GPU each. Give --device cuda."):
        device_of("cuda:1", 1, alone=False)


def test_loader_processes_live_through_epochs(training_set: Path) -> None:
    here = list(feed(training_set).parts(0, 3))
    loaded = FaceDataset(training_set, seed=CONFIG.seed)
    workers = list(Feed(loaded, CONFIG, Ranks(0, 1, CPU), workers=1).parts(0, 3))
    for first, second in zip(here, workers, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(first[0], second[0], strict=True))


def test_a_share_of_the_steps_sees_half_the_size_and_the_others_half_the_batch(training_set: Path) -> None:
    def steps(rank: int, world_size: int) -> list[Batch]:
        share = {"batch_size": 4, "half_size_share": 0.5}
        return [parts[0] for parts in feed(training_set, rank=rank, world_size=world_size, **share).parts(0, 8)]

    alone = steps(0, 1)
    assert {(len(batch.image), batch.image.shape[-1]) for batch in alone} == {(8, 32), (4, 64)}  # with twins
    for whole, *shares in zip(alone, steps(0, 2), steps(1, 2), strict=True):
        # The images of all ranks, then their twins, as one process has them.
        halves = [[x.chunk(2) for x in share] for share in shares]
        joined = [torch.cat([share[field][half] for half in (0, 1) for share in halves]) for field in range(len(whole))]
        for expected, found in zip(whole, joined, strict=True):
            assert torch.equal(found, expected)


def test_parts_of_a_half_batch_are_equal_and_those_of_one_process(training_set: Path) -> None:
    share = {"batch_size": 4, "half_size_share": 0.5, "weights": replace(CONFIG.weights, contrastive=0.0)}
    whole = list(feed(training_set, **share).parts(0, 8))
    for alone, parts in zip(whole, feed(training_set, accumulation=2, **share).parts(0, 8), strict=True):
        assert len(parts) == 2 and len({len(part.image) for part in parts}) == 1
        assert torch.equal(torch.cat([part.image for part in parts]), alone[0].image)


def test_a_part_that_cannot_be_halved_is_refused(training_set: Path) -> None:
    plain = replace(CONFIG.weights, contrastive=0.0)
    vgg = replace(plain, lpips_vgg=1.0)
    for settings in (
        {"world_size": 2, "batch_size": 2, "half_size_share": 0.5, "weights": plain},
        {"accumulation": 2, "batch_size": 2, "weights": vgg},
        {"batch_size": 3, "weights": vgg},
    ):
        with pytest.raises(ValueError, match=r"makes parts of [13], .* must be a multiple of 2"):
            feed(training_set, **settings)
    with pytest.raises(ValueError, match="makes parts of 2, .* must be a multiple of 4"):
        feed(training_set, batch_size=2, half_size_share=0.5, weights=vgg)
    with pytest.raises(ValueError, match="the contrastive loss needs negatives"):  # at full size one image is left
        feed(training_set, batch_size=2, half_size_share=0.5)
    assert feed(training_set, world_size=2, batch_size=2, half_size_share=1.0).part_size == 1


def test_at_half_the_size_a_hole_covers_what_it_covered_and_a_reference_shows_no_more() -> None:
    known = torch.tensor([[1.0, 1, 1, 1], [1, 1, 0, 1]])[None, None]
    reference = torch.arange(8.0).view(1, 1, 2, 4).expand(1, 3, 2, 4) * known
    mask = torch.tensor([[0.0, 0, 0, 0], [0, 0, 0, 1]])[None, None]
    half = halved(Batch(reference, mask, reference, known))
    assert half.mask.flatten().tolist() == [0, 1]
    assert half.reference_mask.flatten().tolist() == [1, 0]
    assert half.reference[0, 0].flatten().tolist() == [2.5, 0]  # mean of 0, 1, 4, 5
    assert half.image.shape == (1, 3, 1, 2)
