import math

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from torch.autograd import gradcheck

from gatedinpaint.losses import InfoNCELoss, info_nce_loss


def reference(query, key, temperature, negatives=None):
    """Eq. 8 as written, in NumPy with SciPy's logsumexp."""
    candidates = key if negatives is None else np.concatenate([key, negatives])
    query, candidates = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (query, candidates))
    scores = query @ candidates.T / temperature
    return float(np.mean(logsumexp(scores, axis=1) - np.diagonal(scores)))


def test_by_hand():
    # Own key at cos = 1, the other at cos = 0; lengths do not matter.
    query, key = torch.tensor([[2.0, 0.0], [0.0, 5.0]]), torch.tensor([[0.1, 0.0], [0.0, 9.0]])
    assert info_nce_loss(query, key, temperature=0.5).item() == pytest.approx(math.log(1 + math.exp(-2)))
    # One more candidate at cos = −1 for the first query and 0 for the second.
    negatives = torch.tensor([[-3.0, 0.0]])
    first, second = math.log(1 + math.exp(-2) + math.exp(-4)), math.log(1 + 2 * math.exp(-2))
    loss = info_nce_loss(query, key, temperature=0.5, negatives=negatives)
    assert loss.item() == pytest.approx((first + second) / 2)


def test_embeddings_all_alike_give_log_of_the_number_of_candidates():
    ones = torch.ones(4, 8)
    assert info_nce_loss(ones, ones).item() == pytest.approx(math.log(4))
    assert info_nce_loss(ones, ones, negatives=torch.ones(3, 8)).item() == pytest.approx(math.log(7))
    assert info_nce_loss(ones[:1], ones[:1], negatives=torch.ones(1, 8)).item() == pytest.approx(math.log(2))


@pytest.mark.parametrize("temperature", [1e-3, 0.07, 1.0])
def test_against_scipy(temperature):
    rng = np.random.default_rng(0)
    query, key, negatives = rng.normal(size=(6, 5)), rng.normal(size=(6, 5)), rng.normal(size=(4, 5))
    tensors = [torch.from_numpy(value) for value in (query, key, negatives)]
    loss = info_nce_loss(tensors[0], tensors[1], temperature=temperature)
    assert loss.item() == pytest.approx(reference(query, key, temperature), rel=1e-10)
    loss = info_nce_loss(tensors[0], tensors[1], temperature=temperature, negatives=tensors[2])
    assert loss.item() == pytest.approx(reference(query, key, temperature, negatives), rel=1e-10)


@pytest.mark.parametrize("wide", [0, 1, 2])
def test_mixed_float_types_are_computed_in_the_widest(wide):
    torch.manual_seed(0)
    vectors = [torch.randn(4, 5) for _ in range(3)]
    expected = info_nce_loss(vectors[0].double(), vectors[1].double(), negatives=vectors[2].double())
    vectors[wide] = vectors[wide].double()
    loss = info_nce_loss(vectors[0], vectors[1], negatives=vectors[2])
    assert loss.dtype == torch.float64
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)


def test_gradient_reaches_query_key_and_negatives():
    torch.manual_seed(0)
    vectors = [torch.randn(count, 5, dtype=torch.float64, requires_grad=True) for count in (3, 3, 2)]
    info_nce_loss(vectors[0], vectors[1], negatives=vectors[2]).backward()
    assert all((vector.grad.abs().sum(dim=1) > 1e-6).all() for vector in vectors)
    assert gradcheck(lambda q, k, n: info_nce_loss(q, k, temperature=0.5, negatives=n), vectors)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("temperature", [1e-3, 0.01, 0.07])
def test_low_temperatures_stay_finite(dtype, temperature):
    # The worst case: each query opposite to its key and equal to the other one: loss = log(1 + exp(2 / τ)) = 2 / τ.
    query = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], dtype=dtype, requires_grad=True)
    loss = info_nce_loss(query, -query.detach(), temperature=temperature)
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(2 / temperature, rel=1e-6)
    assert query.grad.isfinite().all()


def test_autocast_does_not_lower_the_precision():
    torch.manual_seed(0)
    query, key = torch.randn(2, 8, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = info_nce_loss(query, key)
    assert torch.equal(loss, info_nce_loss(query, key))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_zero_vector_has_a_value_and_a_finite_gradient(dtype):
    query = torch.tensor([[0.0, 0.0], [0.0, 1.0]], dtype=dtype, requires_grad=True)
    key = torch.tensor([[1.0, 0.0], [0.0, 0.0]], dtype=dtype, requires_grad=True)
    loss = info_nce_loss(query, key, temperature=0.1)
    loss.backward()
    # All four cosines are 0.
    assert loss.item() == pytest.approx(math.log(2))
    assert query.grad.isfinite().all()
    assert key.grad.isfinite().all()
    assert query.grad[0].abs().sum() > 0  # so that a dead embedding can come alive again


def test_gather_without_a_group_changes_nothing():
    torch.manual_seed(0)
    query, key = torch.randn(2, 4, 8)
    assert torch.equal(info_nce_loss(query, key, gather=True), info_nce_loss(query, key))


def test_module_equals_function():
    torch.manual_seed(0)
    query, key, negatives = torch.randn(3, 4, 8)
    module = InfoNCELoss(temperature=0.3)
    assert torch.equal(module(query, key), info_nce_loss(query, key, temperature=0.3))
    expected = info_nce_loss(query, key, temperature=0.3, negatives=negatives)
    assert torch.equal(module(query, key, negatives=negatives), expected)
    assert repr(InfoNCELoss(gather=True)) == "InfoNCELoss(temperature=0.1, gather=True)"


def test_bad_arguments():
    eye = torch.eye(3)
    for temperature in (0.0, 9e-4, -1.0, float("nan")):
        with pytest.raises(ValueError, match=r"temperature must be at least 0\.001; got"):
            info_nce_loss(eye, eye, temperature=temperature)
    with pytest.raises(ValueError, match="at least one negative; got a batch of 1"):
        info_nce_loss(eye[:1], eye[:1])
    with pytest.raises(ValueError, match=r"query and key must have one shape; got \(3, 3\) and \(2, 3\)"):
        info_nce_loss(eye, eye[:2])
    with pytest.raises(ValueError, match=r"query must be \(B, D\).*got \(3, 1, 3\)"):
        info_nce_loss(eye[:, None], eye[:, None])
    with pytest.raises(ValueError, match=r"negatives must be \(K, 3\).*got \(4, 2\)"):
        info_nce_loss(eye, eye, negatives=torch.ones(4, 2))
    with pytest.raises(TypeError, match=r"key must be a floating-point tensor; got torch\.int64"):
        info_nce_loss(eye, eye.long())
