import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from gatedinpaint import composite, minimal_filtering
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


@pytest.mark.parametrize(
    ("size", "rows", "columns"),
    [
        ((32, 40), (14, 20), (10, 30)),
        ((37, 51), (30, 37), (5, 20)),  # odd sizes: the poolings leave out the last row and column
        ((37, 51), (36, 37), (50, 51)),
        ((48, 48), (0, 5), (0, 3)),
        ((32, 32), (0, 32), (0, 32)),
        ((33, 33), (0, 0), (0, 0)),
    ],
    ids=str,
)
def test_near_a_hole_is_the_whole(vgg16_state, size, rows, columns):
    """Features and gradient of a composite, all of it evaluated or only what the hole can reach."""
    vgg = VGGFeatures("vgg16", weights=vgg16_state).double()
    truth, output = torch.rand(2, 2, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(2, 1, *size, dtype=torch.float64)
    mask[0, :, slice(*rows), slice(*columns)] = 1  # the other sample has no hole

    def features_and_gradient(masks):
        leaf = output.clone().requires_grad_()
        filled = composite(leaf, truth, mask)
        inputs, target = feature_pass(vgg, [filled, leaf], truth, masks=masks)
        loss = sum(perceptual_loss(levels, target) + 30 * style_loss(levels, target) for levels in inputs)
        return [*inputs[0], *inputs[1], *target], torch.autograd.grad(loss, leaf)[0]

    (near, gradient), (whole, expected) = features_and_gradient([mask, None]), features_and_gradient(None)
    torch.testing.assert_close(near, whole, rtol=1e-10, atol=1e-11)
    torch.testing.assert_close(gradient, expected, rtol=1e-9, atol=1e-15)


def test_near_a_hole_there_is_less_to_do(vgg16_state):
    vgg = VGGFeatures("vgg16", weights=vgg16_state)
    truth = torch.zeros(1, 3, 128, 128)
    mask = torch.zeros(1, 1, 128, 128)
    mask[..., 80:112, 48:80] = 1

    def operations(inputs, masks):
        # Minimal filtering counts its first pass dearer than those after.
        with FlopCounterMode(display=False) as counter, torch.no_grad(), minimal_filtering("never"):
            feature_pass(vgg, inputs, truth, masks=masks)
        return counter.get_total_flops()

    one_pass = operations([truth], None) / 2
    assert operations([truth], [mask]) < 1.5 * one_pass
    assert operations([truth, truth], [mask, None]) < 2.5 * one_pass


def test_masks_are_for_vgg_features_and_one_for_each_input():
    truth, output, filled = images()
    mask = torch.zeros(1, 1, 32, 40)
    network = Counting(lambda image: [image])
    feature_pass(network, [output[:1], filled[:1]], truth[:1], masks=[None, mask])
    assert network.calls == [(1, False), (2, True)]
    with pytest.raises(ValueError, match="masks must have one for each input, or None: 2; got 1"):
        feature_pass(network, [output, filled], truth, masks=[None])
    with pytest.raises(ValueError, match=r"masks\[1\] must be \(B, 1, H, W\) = \(2, 1, 32, 40\)"):
        feature_pass(network, [output, filled], truth, masks=[None, mask])


def test_bad_arguments():
    truth, output, _ = images()
    with pytest.raises(ValueError, match="inputs must hold at least one image; got none"):
        feature_pass(lambda image: [image], [], truth)
    with pytest.raises(ValueError, match=r"inputs\[1\] and target must have one shape; got \(1, 3, 32, 40\) and"):
        feature_pass(lambda image: [image], [output, output[:1]], truth)
    with pytest.raises(TypeError, match=r"target must be a floating-point tensor; got torch\.uint8"):
        feature_pass(lambda image: [image], [output], truth.byte())


def test_one_image_comes_as_a_list_of_one():
    output, _, truth = images()
    with pytest.raises(TypeError, match=r"inputs must be a list of images; got a Tensor\. Pass \[inputs\]"):
        feature_pass(lambda image: [image], output, truth)
    with pytest.raises(TypeError, match=r"masks must be a list of masks; got a Tensor\. Pass \[masks\]"):
        feature_pass(lambda image: [image], [output], truth, masks=torch.ones(2, 1, 32, 40))
