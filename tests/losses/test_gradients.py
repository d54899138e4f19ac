import math

import pytest
import torch
from torch import nn

from gatedinpaint.losses import VGGFeatures, gradient_report, perceptual_loss, style_loss


@pytest.fixture
def modules():
    """Two linear maps in a row, y = head(body(x)), with weights (3, 4) and 2."""
    body, head = nn.Linear(2, 1, bias=False), nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        body.weight.copy_(torch.tensor([[3.0, 4.0]]))
        head.weight.fill_(2.0)
    return {"body": body, "head": head}


def terms(modules):
    x = torch.tensor([[1.0, 2.0]])
    inner = modules["body"](x)
    y = modules["head"](inner)
    return {
        "whole": y.sum(),  # in the body 2 · (1, 2), in the head 3 + 8
        "inner": inner.sum(),  # in the body (1, 2)
        "saturated": (y - 1000).relu().sum(),
        "cut": y.detach().sum(),
    }


def test_norms_by_hand(modules):
    report = gradient_report(terms(modules), modules)
    assert report.norms["whole"] == {"body": pytest.approx(2 * math.sqrt(5)), "head": pytest.approx(11.0)}
    assert report.norms["inner"] == {"body": pytest.approx(math.sqrt(5)), "head": None}
    assert report.norms["saturated"] == {"body": 0.0, "head": 0.0}
    assert report.norms["cut"] == {"body": None, "head": None}
    assert report.dead == ["saturated", "cut"]
    assert report.share("whole", "body") == pytest.approx(2 / 3)
    assert report.share("whole", "head") == 1.0
    assert report.share("cut", "head") == 0.0


def test_table(modules):
    assert str(gradient_report(terms(modules), modules)).splitlines() == [
        "term       body             head",
        "whole      4.47e+00   67 %  1.10e+01  100 %",
        "inner      2.24e+00   33 %  no path",
        "saturated  zero             zero",
        "cut        no path          no path",
        "Reaches no module: saturated, cut.",
    ]
    assert "Reaches" not in str(gradient_report({"whole": terms(modules)["whole"]}, modules))


def test_weights_scale_the_norms(modules):
    weights = {"whole": -0.5, "inner": 3.0, "saturated": 1.0, "cut": 1.0}
    report = gradient_report(terms(modules), modules, weights=weights)
    assert report.norms["whole"]["body"] == pytest.approx(math.sqrt(5))
    assert report.share("inner", "body") == pytest.approx(3 / 4)
    assert gradient_report({"whole": terms(modules)["whole"]}, modules, weights={"whole": 0.0}).dead == ["whole"]


def test_leaves_gradients_and_graph_alone(modules):
    kept = torch.full((1, 2), 7.0)
    modules["body"].weight.grad = kept.clone()
    losses = terms(modules)
    gradient_report(losses, modules)
    assert torch.equal(modules["body"].weight.grad, kept)
    assert modules["head"].weight.grad is None
    losses["whole"].backward()  # the graph is still there
    assert torch.equal(modules["body"].weight.grad, kept + torch.tensor([[2.0, 4.0]]))


def test_a_gradient_that_is_not_finite_is_shown_not_hidden(modules):
    broken = (modules["body"](torch.zeros(1, 2)) * 0).sqrt().sum()  # 0 · inf
    report = gradient_report({"broken": broken}, {"body": modules["body"]})
    assert math.isnan(report.norms["broken"]["body"])
    assert report.dead == []
    assert "nan" in str(report)


def test_norm_of_a_half_precision_module_does_not_overflow():
    net = nn.Linear(4, 4, bias=False).half()
    loss = (net(torch.ones(1, 4, dtype=torch.float16)).float() * 60_000).sum()
    # 16 entries of 60,000: the squares are beyond float16, and so is the norm of 240,000.
    assert gradient_report({"loss": loss}, {"net": net}).norms["loss"]["net"] == pytest.approx(240_000, rel=1e-3)


def test_exposes_swapped_arguments_of_the_feature_losses(vgg16_state):
    """The losses detach their second argument: with the output there, nothing is left to train."""
    torch.manual_seed(0)
    vgg, generator = VGGFeatures("vgg16", weights=vgg16_state), nn.Conv2d(3, 3, 1)
    truth = torch.rand(1, 3, 16, 16)
    of_output, of_truth = vgg(generator(truth)), vgg(truth)
    report = gradient_report(
        {
            "perceptual": perceptual_loss(of_output, of_truth),
            "perceptual swapped": perceptual_loss(of_truth, of_output),
            "style": style_loss(of_output, of_truth),
            "style swapped": style_loss(of_truth, of_output),
        },
        {"generator": generator},
    )
    assert report.dead == ["perceptual swapped", "style swapped"]
    assert report.norms["perceptual"]["generator"] > 1e-3
    assert report.norms["style"]["generator"] > 1e-6
    assert str(report).endswith("Reaches no module: perceptual swapped, style swapped.")


def test_bad_arguments(modules):
    loss = {"whole": terms(modules)["whole"]}
    with pytest.raises(ValueError, match="modules must hold at least one network; got none"):
        gradient_report(loss, {})
    with pytest.raises(ValueError, match="terms must hold at least one loss; got none"):
        gradient_report({}, modules)
    with pytest.raises(ValueError, match=r'terms\["whole"\] must be a scalar; got shape \(2,\)'):
        gradient_report({"whole": torch.ones(2)}, modules)
    with pytest.raises(ValueError, match="same names; only in one of them: style, whole"):
        gradient_report(loss, modules, weights={"style": 1.0})
    modules["head"].requires_grad_(False)
    with pytest.raises(ValueError, match=r'modules\["head"\] has no parameter that requires a gradient\. Leave it out'):
        gradient_report(loss, modules)


def test_terms_and_modules_have_names(modules):
    with pytest.raises(TypeError, match="terms must be a dict .*; got list"):
        gradient_report(list(terms(modules).values()), modules)
    with pytest.raises(TypeError, match=r'modules must be a dict such as \{"generator": generator\}; got Linear'):
        gradient_report(terms(modules), modules["body"])
