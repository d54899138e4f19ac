"""Two processes with half the batch each must train as one process with all of it.

The file is both the test and, run as a script, one rank of it.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from gatedinpaint.losses import NegativeQueue, info_nce_loss, masked_l1_loss

RANKS = 2


def batch():
    """Four samples; the holes of the first half (rank 0) are far larger than those of the second."""
    generator = torch.Generator().manual_seed(0)
    image, target = torch.randn(2, 4, 3, 6, 6, dtype=torch.float64, generator=generator)
    mask = torch.zeros(4, 1, 6, 6, dtype=torch.float64)
    mask[:2, :, :5] = 1
    mask[2:, :, :1, :2] = 1
    return image, target, mask


def network():
    torch.manual_seed(1)
    return nn.Conv2d(3, 3, 3, padding=1).double()


def masked(net, image, target, mask):
    return masked_l1_loss(net(image), target, mask, normalize="area")


def one_rank_without_a_hole(net, image, target, mask):
    # Two samples lose their hole: all that rank 1 has.
    return masked(net, image, target, mask * (mask.sum(dim=(1, 2, 3), keepdim=True) > 2))


def contrast(net, image, target, mask):
    embeddings = net(torch.cat([image, target])).mean(dim=3).flatten(1)
    return info_nce_loss(*embeddings.chunk(2), temperature=0.2, gather=True)


def queue():
    """Three steps of two keys from each rank fill the five places and run over."""
    return NegativeQueue(dim=18, size=5).double()


def contrast_with_queue(net, image, target, mask):
    """The second of two steps; the first left its keys in the queue."""
    embeddings = net(torch.cat([image, target])).mean(dim=3).flatten(1)
    query, key = embeddings.chunk(2)
    memory = queue()
    memory.enqueue(key)
    memory.enqueue(2 * query)
    return info_nce_loss(query, key, temperature=0.2, negatives=memory.negatives, gather=True)


LOSSES = {
    "masked": masked,
    "one rank without a hole": one_rank_without_a_hole,
    "contrast": contrast,
    "contrast with queue": contrast_with_queue,
}


def keys_of_step(step):
    return torch.arange(4 * 18, dtype=torch.float64).view(4, 18) + 1000 * step


def gradient(loss, net, tensors):
    net.zero_grad()
    loss(net, *tensors).backward()
    return torch.cat([parameter.grad.flatten() for parameter in net.parameters()])


def rank_main(rank, folder):
    dist.init_process_group("gloo", init_method=f"file://{folder}/group", rank=rank, world_size=RANKS)
    shard = [tensor[2 * rank : 2 * rank + 2] for tensor in batch()]
    net = DistributedDataParallel(network())
    result = {name: gradient(loss, net, shard) for name, loss in LOSSES.items()}
    try:
        rows = torch.eye(3)[: 2 + rank]
        info_nce_loss(rows, rows, gather=True)
    except ValueError as error:
        result["unequal"] = str(error)
    one = torch.eye(RANKS)[rank : rank + 1]  # a batch of 1 has its negatives on the other rank
    result["single"] = info_nce_loss(one, one, temperature=1.0, gather=True)
    memory = queue()
    for step in range(3):
        memory.enqueue(keys_of_step(step)[2 * rank : 2 * rank + 2])
    result["queue"] = memory.negatives
    try:
        memory.enqueue(torch.zeros(1 + rank, 18))
    except ValueError as error:
        result["unequal keys"] = str(error)
    torch.save(result, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    ranks = [
        subprocess.Popen(
            [sys.executable, __file__, str(rank), str(folder)],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(RANKS)
    ]
    try:
        errors = [process.communicate(timeout=120)[1] for process in ranks]
    finally:
        for process in ranks:
            process.kill()
    for process, error in zip(ranks, errors, strict=True):
        assert process.returncode == 0, error
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(RANKS)]


@pytest.mark.parametrize("name", list(LOSSES))
def test_averaged_gradient_is_that_of_one_process(results, name):
    expected = gradient(LOSSES[name], network(), batch())
    for result in results:
        torch.testing.assert_close(result[name], expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["masked", "contrast", "contrast with queue"])
def test_averaging_local_losses_would_be_wrong(name):
    """The test above can fail: without the exchange between ranks the gradient is another one."""
    expected = gradient(LOSSES[name], network(), batch())
    halves = [gradient(LOSSES[name], network(), [tensor[part] for tensor in batch()]) for part in ([0, 1], [2, 3])]
    local = torch.stack(halves).mean(dim=0)
    assert (local - expected).norm() > 0.05 * expected.norm()


def test_gather_refuses_unequal_batches_on_every_rank(results):
    assert all("one batch size on all ranks; got [2, 3]" in result["unequal"] for result in results)
    assert all("one batch size on all ranks; got [1, 2]" in result["unequal keys"] for result in results)


def test_all_ranks_hold_the_queue_of_one_process(results):
    memory = queue()
    for step in range(3):
        memory.enqueue(keys_of_step(step))
    torch.testing.assert_close(memory.negatives, torch.cat([keys_of_step(1)[-1:], keys_of_step(2)]))
    for result in results:
        assert torch.equal(result["queue"], memory.negatives)


def test_gather_finds_the_negatives_of_other_ranks(results):
    for result in results:
        torch.testing.assert_close(result["single"], torch.tensor(1 + torch.e).log() - 1)


if __name__ == "__main__":
    rank_main(int(sys.argv[1]), sys.argv[2])
