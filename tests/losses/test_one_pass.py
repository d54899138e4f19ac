import pytest
import torch
from torch import nn

from gatedinpaint.losses import VGGFeatures, feature_pass, perceptual_loss, style_loss


class Counting(nn.Module):
    """A network that writes down the batch sizes it was asked for, and whether with gradient."""

    def __init__(self, network):
        super().__init__()
        self.network, self.calls = network, []

    def forward(self, image):
        self.calls.append((len(image), torch.is_grad_enabled()))
        return self.network(image)


def images(dtype=torch.float32):
    return torch.rand(3, 2, 3, 32, 40, generator=torch.Generator().manual_seed(0)).to(dtype).unbind()


def test_equals_one_evaluation_for_each_term(vgg16_state):
    """Values and gradients of the four terms, against a network that runs on both sides of each."""
    vgg = VGGFeatures("vgg16", weights=vgg16_state).double()
    truth, *inputs = images(torch.float64)

    def plain(output, filled):
        return [loss(vgg(image), vgg(truth)) for loss in (perceptual_loss, style_loss) for image in (output, filled)]

    def shared(output, filled):
        both, target = feature_pass(vgg, [output, filled], truth)
        return [loss(image, target) for loss in (perceptual_loss, style_loss) for image in both]

    def values_and_gradients(form):
        leaves = [image.clone().requires_grad_() for image in inputs]
        terms = form(*leaves)
        return terms, [torch.autograd.grad(term, leaves, retain_graph=True, allow_unused=True) for term in terms]

    (terms, gradients), (expected, expected_gradients) = values_and_gradients(shared), values_and_gradients(plain)
    torch.testing.assert_close(terms, expected, rtol=1e-12, atol=0)
    for index, (own, plain_own) in enumerate(zip(gradients, expected_gradients, strict=True)):
        mine, other = index % 2, 1 - index % 2
        assert plain_own[mine].abs().max() > 0
        torch.testing.assert_close(own[mine], plain_own[mine], rtol=1e-9, atol=1e-18)
        assert torch.equal(own[other], torch.zeros_like(own[other]))  # no term leaks into the other's image


def test_evaluates_the_network_twice_and_the_target_without_gradient():
    truth, output, filled = images()
    network = Counting(lambda image: [image, nn.functional.avg_pool2d(image, 2)])
    truth.requires_grad_()
    inputs, target = feature_pass(network, [output.requires_grad_(), filled], truth)
    assert network.calls == [(2, False), (4, True)]
    assert [len(levels) for levels in inputs] == [2, 2]
    assert torch.equal(inputs[0][0], output)
    assert torch.equal(inputs[1][0], filled)
    assert torch.equal(target[0], truth)
    assert not any(level.requires_grad for level in target)


def test_bad_arguments():
    truth, output, _ = images()
    with pytest.raises(ValueError, match="inputs must hold at least one image; got none"):
        feature_pass(lambda image: [image], [], truth)
    with pytest.raises(ValueError, match=r"inputs\[1\] and target must have one shape; got \(1, 3, 32, 40\) and"):
        feature_pass(lambda image: [image], [output, output[:1]], truth)
    with pytest.raises(TypeError, match=r"target must be a floating-point tensor; got torch\.uint8"):
        feature_pass(lambda image: [image], [output], truth.byte())
