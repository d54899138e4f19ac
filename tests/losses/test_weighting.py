import numpy as np
import pytest
import torch

from gatedinpaint.losses import weighted_sum

TERMS = {"style": torch.tensor(2.0), "hole": torch.tensor(3.0)}


def test_by_hand():
    # The order of the names does not matter.
    assert weighted_sum(TERMS, {"hole": 1, "style": 10.0}).item() == 23.0
    assert weighted_sum(TERMS, {"hole": np.float64(-0.5), "style": 0.0}).item() == -1.5


def test_gradient_is_the_weight():
    terms = {name: term.clone().requires_grad_() for name, term in TERMS.items()}
    weighted_sum(terms, {"style": 10.0, "hole": 0.0}).backward()
    assert terms["style"].grad == 10.0
    assert terms["hole"].grad is None


def test_weight_zero_keeps_even_nan_out():
    terms = {"good": torch.tensor(2.0, requires_grad=True), "bad": torch.tensor(-1.0, requires_grad=True)}
    total = weighted_sum({"good": terms["good"], "bad": terms["bad"].sqrt()}, {"good": 3.0, "bad": 0.0})
    assert total.item() == 6.0
    total.backward()
    assert terms["good"].grad == 3.0
    assert terms["bad"].grad is None


def test_all_weights_zero():
    total = weighted_sum(TERMS, {"style": 0.0, "hole": -0.0})
    assert total.item() == 0.0
    assert total.shape == ()
    assert not total.requires_grad


def test_half_precision_sums_in_float32():
    # 40,000 + 40,000 is beyond float16.
    terms = {name: torch.tensor(40_000.0, dtype=torch.float16) for name in ("a", "b")}
    total = weighted_sum(terms, {"a": 1.0, "b": 1.0})
    assert total.dtype == torch.float32
    assert total.item() == pytest.approx(80_000, rel=1e-3)


def test_names_must_be_the_same():
    with pytest.raises(ValueError, match=r"same names; only in one of them: hole\."):
        weighted_sum(TERMS, {"style": 10.0})
    with pytest.raises(ValueError, match=r"same names; only in one of them: Style, lpips, style\."):
        weighted_sum(TERMS, {"Style": 1.0, "hole": 1.0, "lpips": 1.0})
    with pytest.raises(ValueError, match="terms must hold at least one loss; got none"):
        weighted_sum({}, {})


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), -float("inf")])
def test_weights_must_be_finite(weight):
    with pytest.raises(ValueError, match=rf'weights\["hole"\] must be finite; got {weight}'):
        weighted_sum(TERMS, {"style": 1.0, "hole": weight})


@pytest.mark.parametrize(("weight", "kind"), [([1.0, 2.0], "list"), (torch.ones(2), "Tensor"), ("5", "str")])
def test_weights_must_be_numbers(weight, kind):
    with pytest.raises(TypeError, match=rf'weights\["hole"\] must be a number; got {kind}'):
        weighted_sum(TERMS, {"style": 1.0, "hole": weight})


def test_terms_must_be_scalars():
    weights = {"style": 1.0, "hole": 1.0}
    with pytest.raises(ValueError, match=r'terms\["hole"\] must be a scalar; got shape \(4,\)\. Reduce it'):
        weighted_sum({**TERMS, "hole": torch.ones(4)}, weights)
    with pytest.raises(TypeError, match=r'terms\["hole"\] must be a torch\.Tensor; got float'):
        weighted_sum({**TERMS, "hole": 3.0}, weights)


def test_terms_and_weights_have_names():
    with pytest.raises(TypeError, match=r'terms must be a dict such as \{"l1": loss\}; got list'):
        weighted_sum(list(TERMS.values()), [1.0, 1.0])
    with pytest.raises(TypeError, match="weights must be a dict .*; got list"):
        weighted_sum(TERMS, [1.0, 1.0])
