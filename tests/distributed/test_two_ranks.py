"""Two processes with half the batch each train as one process with all of it.

The file is both the test and, run as a script under torchrun, one rank of it.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from examples.mask_removal.config import Config, LossWeights
from examples.mask_removal.data import Batch
from examples.mask_removal.distributed import Ranks, ranks
from examples.mask_removal.precision import NetworkOptimizer
from examples.mask_removal.steps import Networks, discriminator_step, generate, generator_step
from examples.mask_removal.twin import Twin, with_twins
from gatedinpaint import InpaintGenerator, SNPatchDiscriminator, composite

CONFIG = Config(
    base_channels=2,
    discriminator_channels=2,
    batch_size=4,
    area_normalized=True,
    weights=LossWeights(adversarial=0.1, total_variation=0.1, contrastive=1.0, perceptual=0.05, style=80.0),
)
NOT_FINITE = 3  # the step at which rank 1 meets a NaN, in the run that has one
STEPS = 20


class Pyramid(nn.Module):
    """Features that need no weights."""

    def forward(self, image):
        return [image, F.avg_pool2d(image, 2)]


def batch(step):
    """Four samples; the holes of the first two, which are rank 0's, are far larger than those of the others."""
    generator = torch.Generator().manual_seed(step)
    image, reference = torch.rand(2, 4, 3, 32, 32, dtype=torch.float64, generator=generator) * 2 - 1
    mask = torch.zeros(4, 1, 32, 32, dtype=torch.float64)
    mask[:2, :, 4:] = 1
    mask[2:, :, :6, 5:9] = 1
    return Batch(image, mask, reference, torch.ones_like(mask))


def share_of(step, place):
    count = 4 // place.world_size
    own = slice(place.rank * count, (place.rank + 1) * count)
    keys = [(0, step, index) for index in range(4)]
    return with_twins(Batch(*(x[own] for x in batch(step))), Twin(), keys[own])


def train(place, *, steps, accumulation=1, not_finite=None):
    """Gradients of the first step, weights after the last, and how many steps were skipped."""
    torch.manual_seed(0)
    generator, discriminator = InpaintGenerator(2).double(), SNPatchDiscriminator(2).double()
    g_optimizer, d_optimizer = (
        NetworkOptimizer(network, precision="fp32", learning_rate=1e-3, betas=(0.5, 0.999), clip_norm=5.0)
        for network in (generator, discriminator)
    )
    networks = Networks(place.parallel(generator), place.parallel(discriminator), Pyramid())
    result = {}
    for step in range(steps):
        whole = share_of(step, place)
        if step == not_finite and place.rank == place.world_size - 1:
            whole.image[-1, 0, 0, 0] = torch.nan
        count = len(whole.image) // 2
        twins = [x.view(2, accumulation, count // accumulation, *x.shape[1:]) for x in whole]
        parts = [Batch(*(x[:, index].flatten(0, 1) for x in twins)) for index in range(accumulation)]
        with torch.set_grad_enabled(accumulation == 1):
            outputs = [generate(networks.generator, part, "fp32") for part in parts]
        fakes = [composite(x.refined.detach(), part.image, part.mask) for x, part in zip(outputs, parts, strict=True)]
        discriminator_step(networks.discriminator, d_optimizer, parts, fakes, CONFIG)
        output = outputs[0] if accumulation == 1 else None
        generator_step(networks, g_optimizer, parts, output, CONFIG, adversarial=True)
        if step == 0:
            result["generator gradient"] = flat(p.grad for p in generator.parameters())
            result["discriminator gradient"] = flat(p.grad for p in discriminator.parameters())
    result["generator"] = flat(generator.state_dict().values())
    result["discriminator"] = flat(discriminator.state_dict().values())
    result["skipped"] = torch.tensor([g_optimizer.skipped, d_optimizer.skipped])
    return result


def flat(tensors):
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


RUNS = {
    "plain": {"steps": STEPS},
    "accumulated": {"steps": 2, "accumulation": 2},
    "not finite": {"steps": 5, "not_finite": NOT_FINITE},
}


def begun(place):
    """Networks that every rank has drawn otherwise, with the weights that all begin with."""
    torch.manual_seed(place.rank)
    generator = InpaintGenerator(2).to(memory_format=torch.channels_last)
    return {"alike generator": place.alike(generator), "alike discriminator": place.alike(SNPatchDiscriminator(2))}


def rank_main(folder):
    with ranks("cpu") as place:
        results = {name: train(place, **run) for name, run in RUNS.items()}
        results["sum"] = torch.tensor(list(place.mean({"a": place.rank + 1.0, "b": 2.0}).values()))
        results |= {name: flat(network.state_dict().values()) for name, network in begun(place).items()}
        results["gathered"] = place.gather(f"of {place.rank}")
        torch.save(results, f"{folder}/{place.rank}.pt")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", __file__, folder]
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.fixture(scope="module")
def alone():
    return train(Ranks(0, 1, torch.device("cpu")), steps=STEPS)


@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_gradients_are_those_of_one_process(results, alone, network):
    for result in results:
        actual, expected = result["plain"][f"{network} gradient"], alone[f"{network} gradient"]
        torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_weights_after_20_steps_are_those_of_one_process(results, alone, network):
    for result in results:
        torch.testing.assert_close(result["plain"][network], alone[network], rtol=0, atol=1e-8)


def test_a_rank_alone_would_train_otherwise():
    """The tests above can fail: half the batch has another gradient."""
    torch.manual_seed(0)
    generator = InpaintGenerator(2).double()
    gradients = []
    for rows in (slice(0, 4), slice(0, 2)):
        whole = with_twins(Batch(*(x[rows] for x in batch(0))), Twin(), [(0, 0, i) for i in range(4)][rows])
        optimizer = NetworkOptimizer(generator, precision="fp32", learning_rate=0.0, betas=(0.5, 0.999))
        networks = Networks(generator, SNPatchDiscriminator(2).double(), Pyramid())
        generator_step(networks, optimizer, [whole], None, CONFIG, adversarial=False)
        gradients.append(flat(p.grad for p in generator.parameters()))
    assert (gradients[0] - gradients[1]).norm() > 0.05 * gradients[0].norm()


def test_a_step_that_is_not_finite_on_one_rank_is_skipped_on_all(results):
    first, second = (result["not finite"] for result in results)
    assert first["skipped"].tolist() == second["skipped"].tolist() == [1, 1]
    for network in ("generator", "discriminator"):
        assert first[network].isfinite().all()
        assert torch.equal(first[network], second[network])


def test_accumulated_parts_on_two_ranks_agree(results):
    first, second = (result["accumulated"] for result in results)
    for network in ("generator", "discriminator"):
        assert torch.equal(first[network], second[network])


@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_the_weights_to_begin_with_are_those_of_the_first_rank(results, network):
    expected = begun(Ranks(0, 1, torch.device("cpu")))[f"alike {network}"]
    for result in results:
        assert torch.equal(result[f"alike {network}"], flat(expected.state_dict().values()))


def test_figures_and_things_of_all_ranks(results):
    for result in results:
        assert result["sum"].tolist() == [1.5, 2.0]
        assert result["gathered"] == ["of 0", "of 1"]


if __name__ == "__main__":
    rank_main(sys.argv[1])
