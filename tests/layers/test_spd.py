import pytest
import torch

from gatedinpaint import GatedConv2d, SPDResBlock, _conv2d, _dilated_conv2d, _filtering_choice, optimize_for_inference


@pytest.mark.parametrize("dilations", [(1,), (1, 2, 4, 8), (1, 2, 3, 4, 5, 6, 8, 10)])
def test_keeps_the_shape_and_starts_from_its_input(dilations: tuple[int, ...]) -> None:
    block, x = SPDResBlock(16, dilations=dilations), torch.randn(2, 16, 9, 13)
    assert block(x).shape == x.shape
    torch.nn.init.zeros_(block.fuse.conv.weight)
    torch.nn.init.zeros_(block.fuse.conv.bias)
    assert torch.equal(block(x), x)


def test_receptive_field_is_the_largest_dilation_and_the_fuse() -> None:
    block = SPDResBlock(4, dilations=(1, 3)).double()
    x = torch.randn(1, 4, 21, 21, dtype=torch.float64, requires_grad=True)
    block(x)[0, :, 10, 10].sum().backward()
    assert x.grad is not None
    touched = x.grad.abs().sum((0, 1)).nonzero()
    assert touched.min() == 10 - (3 + 1)
    assert touched.max() == 10 + (3 + 1)


def test_no_activation_after_the_fuse() -> None:
    assert SPDResBlock(4, dilations=(1, 2)).fuse.activation is None


def test_gradcheck() -> None:
    x = torch.randn(1, 4, 5, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(SPDResBlock(4, dilations=(1, 2)).double(), x)


@pytest.mark.parametrize(("channels", "dilations"), [(6, (1, 2, 4, 8)), (8, ())])
def test_bad_channels(channels: int, dilations: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=rf"multiple of the number of dilations; got {channels}"):
        SPDResBlock(channels, dilations=dilations)


@pytest.fixture
def layouts(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether what each layer of a block is given lies in channels_last, in order."""
    seen: list[bool] = []
    inner = GatedConv2d.forward

    def forward(self: GatedConv2d, x: torch.Tensor) -> torch.Tensor:
        seen.append(x.is_contiguous(memory_format=torch.channels_last))
        return inner(self, x)

    monkeypatch.setattr(GatedConv2d, "forward", forward)
    return seen


@pytest.mark.parametrize("vectors", ["avx2", "avx512", "wider convolutions"])
def test_a_plain_map_is_turned_once_for_all_branches_and_back_with_avx2(
    layouts: list[bool], vectors: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (_conv2d, _dilated_conv2d, _filtering_choice):
        monkeypatch.setattr(module, "vectors", lambda: vectors)
    block, x = SPDResBlock(16, dilations=(1, 2)), torch.randn(2, 16, 9, 13, requires_grad=True)
    with torch.no_grad():
        plain = block(x)
    y = block(x)
    branches = layouts[:2] + layouts[3:5]  # the third of each time is the layer that fuses them
    assert branches == [vectors == "avx2"] * 4
    assert y.is_contiguous() and plain.is_contiguous()
    expected = x + block.fuse(torch.cat([branch(x) for branch in block.branches], dim=1))
    for result in (y, plain):
        torch.testing.assert_close(result, expected, rtol=0, atol=1e-5)
    ours, theirs = (torch.autograd.grad(result.square().sum(), [x, *block.parameters()]) for result in (y, expected))
    for gradient, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(gradient, other, rtol=1e-4, atol=1e-4)


def test_channels_last_stays(layouts: list[bool]) -> None:
    x = torch.randn(2, 16, 9, 13).contiguous(memory_format=torch.channels_last)
    assert SPDResBlock(16, dilations=(1, 2))(x).is_contiguous(memory_format=torch.channels_last)
    assert layouts == [True, True, True]


def test_filters_in_channels_last_make_the_map_turn_once(layouts: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_conv2d, "vectors", lambda: "avx512")
    block, x = SPDResBlock(16, dilations=(1, 2)), torch.randn(2, 16, 9, 13)
    y = optimize_for_inference(block)(x)
    assert layouts == [True, True, True]
    assert y.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(y, block(x), rtol=0, atol=1e-4)


def test_other_types_keep_their_layout(layouts: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_conv2d, "vectors", lambda: "avx2")
    block, x = SPDResBlock(16, dilations=(1, 2)), torch.randn(2, 16, 9, 13)
    with torch.autocast("cpu"):
        block(x)
    block.double()(x.double())
    assert not any(layouts)
