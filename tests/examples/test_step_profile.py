import copy
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from examples.mask_removal.config import smoke
from examples.mask_removal.data import FaceDataset
from examples.mask_removal.distributed import Ranks
from examples.mask_removal.feed import Feed
from examples.mask_removal.precision import NetworkOptimizer
from examples.mask_removal.step_profile import PARTS, profile_step
from examples.mask_removal.steps import Networks
from gatedinpaint import InpaintGenerator, SNPatchDiscriminator

TRAINING_PAGE = Path(__file__).resolve().parents[2] / "docs/training.md"


class Levels(nn.Module):
    """Features that need no weights."""

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        return [image]


@pytest.mark.parametrize("accumulation", [1, 2])
def test_every_part_has_its_cost_and_a_line(
    accumulation: int, training_set: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = replace(smoke(), batch_size=4, accumulation=accumulation)
    generator, discriminator = InpaintGenerator(2), SNPatchDiscriminator(2)
    average = copy.deepcopy(generator)
    optimizers = [
        NetworkOptimizer(network, precision="fp32", learning_rate=1e-4, betas=config.betas)
        for network in (generator, discriminator)
    ]
    feed = Feed(FaceDataset(training_set), config, Ranks(0, 1, torch.device("cpu")))
    seconds = profile_step(Networks(generator, discriminator, Levels()), optimizers, average, feed)
    assert tuple(seconds) == PARTS
    assert all(value > 0 for value in seconds.values())
    assert seconds["generator"] > seconds["other losses"]
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0].strip() for line in lines] == ["part", *PARTS, "step"]
    shown = re.search(r"```text\n(part .*?)```", TRAINING_PAGE.read_text("utf-8"), re.DOTALL).group(1).splitlines()
    assert [re.sub(r"[\d.]+", "#", " ".join(line.split())) for line in shown] == [
        re.sub(r"[\d.]+", "#", " ".join(line.split())) for line in lines
    ]
    rate = float(lines[-1].split()[-2])
    assert rate == pytest.approx(4 / sum(seconds.values()), abs=0.01)


@pytest.mark.parametrize("coarse_only", [False, True])
def test_what_a_run_leaves_out_costs_nothing(coarse_only: bool, training_set: Path) -> None:
    weights = replace(smoke().weights, adversarial=0.0, contrastive=0.0, perceptual=0.0, style=0.0)
    config = replace(smoke(), weights=weights, coarse_only=coarse_only)
    generator, discriminator = InpaintGenerator(2), SNPatchDiscriminator(2)
    generator.coarse_only = coarse_only
    generator.refine.requires_grad_(not coarse_only)
    before = copy.deepcopy(discriminator.state_dict())
    optimizers = [
        NetworkOptimizer(network, precision="fp32", learning_rate=1e-4, betas=config.betas)
        for network in (generator, discriminator)
    ]
    feed = Feed(FaceDataset(training_set), config, Ranks(0, 1, torch.device("cpu")))
    networks = Networks(generator, discriminator, Levels())
    seconds = profile_step(networks, optimizers, copy.deepcopy(generator), feed)
    assert seconds["discriminator"] < 1e-3 < seconds["generator"]
    assert all(torch.equal(value, before[name]) for name, value in discriminator.state_dict().items())
