import math
from collections import deque

import pytest
import torch

from gatedinpaint.losses import NegativeQueue, info_nce_loss


def rows(*values):
    return torch.tensor([[float(value)] for value in values])


def test_by_hand():
    queue = NegativeQueue(dim=1, size=3)
    assert queue.negatives.shape == (0, 1)
    queue.enqueue(rows(1, 2))
    assert torch.equal(queue.negatives, rows(1, 2))
    queue.enqueue(rows(3))
    assert torch.equal(queue.negatives, rows(1, 2, 3))
    queue.enqueue(rows(4, 5))
    assert torch.equal(queue.negatives, rows(3, 4, 5))
    queue.enqueue(rows(6, 7, 8, 9, 10))  # more than it holds
    assert torch.equal(queue.negatives, rows(8, 9, 10))


def test_is_a_fifo():
    generator = torch.Generator().manual_seed(0)
    queue, expected = NegativeQueue(dim=1, size=7), deque(maxlen=7)
    for count in torch.randint(0, 17, (60,), generator=generator).tolist():
        keys = torch.randn(count, 1, generator=generator)
        queue.enqueue(keys)
        expected.extend(keys.flatten().tolist())
        assert queue.negatives.flatten().tolist() == list(expected)


def test_loss_with_a_queue_by_hand():
    """A batch of one, whose only negatives are past keys: at cos = 0 first, then at cos = 0 and −1."""
    queue, query = NegativeQueue(dim=2, size=4), torch.tensor([[1.0, 0.0]])
    queue.enqueue(torch.tensor([[0.0, 3.0]]))
    loss = info_nce_loss(query, query, temperature=0.5, negatives=queue.negatives)
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-2)))
    queue.enqueue(torch.tensor([[-5.0, 0.0]]))
    loss = info_nce_loss(query, query, temperature=0.5, negatives=queue.negatives)
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-2) + math.exp(-4)))


def test_an_empty_queue_changes_nothing():
    torch.manual_seed(0)
    query, key = torch.randn(2, 4, 8)
    loss = info_nce_loss(query, key, negatives=NegativeQueue(dim=8, size=5).negatives)
    assert torch.equal(loss, info_nce_loss(query, key))


def test_keys_are_detached_and_later_ones_do_not_disturb_the_backward():
    queue = NegativeQueue(dim=2, size=2)
    keys = torch.eye(2, requires_grad=True)
    queue.enqueue(keys * 3)
    negatives = queue.negatives
    assert not negatives.requires_grad
    query = torch.ones(1, 2, requires_grad=True)
    score = (query @ negatives.T).exp().sum()
    queue.enqueue(torch.full((2, 2), 100.0))  # between the loss and its backward
    score.backward()
    torch.testing.assert_close(query.grad, torch.full((1, 2), 3 * math.exp(3)))
    assert keys.grad is None
    assert list(queue.parameters()) == []


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_keys_are_kept_in_float32(dtype):
    queue = NegativeQueue(dim=2, size=2)
    queue.enqueue(torch.ones(2, 2, dtype=dtype))
    assert queue.negatives.dtype == torch.float32
    assert queue.negatives.sum() == 4


def test_keys_are_kept_in_float32_whatever_the_default_is():
    torch.set_default_dtype(torch.bfloat16)
    try:
        queue = NegativeQueue(dim=1, size=2)
    finally:
        torch.set_default_dtype(torch.float32)
    queue.enqueue(torch.tensor([[1.001]]))
    assert torch.equal(queue.negatives, torch.tensor([[1.001]]))


@pytest.mark.parametrize("before", [2, 5])  # not full, and once around
def test_goes_on_from_its_state_dict(before):
    first, second = NegativeQueue(dim=1, size=3), NegativeQueue(dim=1, size=3)
    first.enqueue(rows(*range(before)))
    second.load_state_dict(first.state_dict())
    for queue in (first, second):
        queue.enqueue(rows(70, 80))
    assert torch.equal(second.negatives, first.negatives)
    assert torch.equal(second.negatives, rows(before - 1, 70, 80))


def test_bad_arguments():
    for options in ({"dim": 0, "size": 3}, {"dim": 3, "size": 0}):
        with pytest.raises(ValueError, match=r"(dim|size) must be 1 or more; got 0"):
            NegativeQueue(**options)
    queue = NegativeQueue(dim=3, size=4)
    for shape in ((2, 4), (3,)):
        with pytest.raises(ValueError, match=r"keys must be \(B, 3\), the dim of the queue; got \("):
            queue.enqueue(torch.ones(shape))
    with pytest.raises(TypeError, match=r"keys must be a floating-point tensor; got torch\.int64"):
        queue.enqueue(torch.ones(2, 3, dtype=torch.int64))
    for bad in (math.nan, math.inf):
        with pytest.raises(ValueError, match=r"keys must be finite; got NaN or infinity\. Leave out the step"):
            queue.enqueue(torch.tensor([[1.0, 2.0, 3.0], [1.0, bad, 3.0]]))
    assert len(queue.negatives) == 0  # nothing of a refused batch stays
    assert repr(queue) == "NegativeQueue(dim=3, size=4)"
