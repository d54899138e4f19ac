import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from gatedinpaint import ContextualAttention2d


def by_loops(x: torch.Tensor, mask: torch.Tensor, *, scale: float = 10.0, fuse: bool = True) -> torch.Tensor:
    """One sample (C, H, W) with its mask (H, W), by the definition: every pair of positions, every step of each."""
    channels, height, width = x.shape[0], x.shape[1] // 2, x.shape[2] // 2
    positions = [(row, column) for row in range(height) for column in range(width)]
    down = [(row, column) for column in range(width) for row in range(height)]

    def window(source: torch.Tensor, top: int, left: int, side: int) -> torch.Tensor:
        patch = source.new_zeros(source.shape[0], side, side)
        for i in range(side):
            for j in range(side):
                if 0 <= top + i < source.shape[1] and 0 <= left + j < source.shape[2]:
                    patch[:, i, j] = source[:, top + i, left + j]
        return patch

    half, half_mask = x[:, ::2, ::2], mask[None, ::2, ::2]
    patches = {(r, c): window(half, r - 1, c - 1, 3) for r, c in positions}
    norms = {k: max(patch.square().sum().sqrt().item(), 1e-4) for k, patch in patches.items()}
    scores = {(p, k): (patches[p] * patches[k]).sum().item() / norms[k] for p in positions for k in positions}
    if fuse:
        for order in (positions, down):
            place = {position: n for n, position in enumerate(order)}
            fused = {}
            for p, k in scores:
                steps = [(place[p] + i, place[k] + i) for i in (-1, 0, 1)]
                inside = [(a, b) for a, b in steps if 0 <= a < len(order) and 0 <= b < len(order)]
                fused[p, k] = sum(scores[order[a], order[b]] for a, b in inside)
            scores = fused
    known = {(r, c): float(window(half_mask, r - 1, c - 1, 3).sum() == 0) for r, c in positions}

    y = x.new_zeros(channels, 2 * height + 2, 2 * width + 2)
    for p in positions:
        weights = torch.tensor([scale * known[k] * scores[p, k] for k in positions], dtype=x.dtype).softmax(0)
        for weight, k in zip(weights, positions, strict=True):
            borrowed = window(x, 2 * k[0] - 1, 2 * k[1] - 1, 4)
            y[:, 2 * p[0] : 2 * p[0] + 4, 2 * p[1] : 2 * p[1] + 4] += weight * known[k] * borrowed / 4
    return y[:, 1:-1, 1:-1]


def example(*size: int, batch: int = 2, channels: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """Two samples, the hole at another place in each."""
    torch.manual_seed(0)
    x = torch.randn(batch, channels, *size, dtype=torch.float64) / 2
    mask = torch.zeros(batch, 1, *size, dtype=torch.float64)
    mask[0, :, : size[0] // 2, : size[1] // 3] = 1
    mask[1:, :, size[0] // 2 :, size[1] // 2 :] = 1
    return x, mask


@pytest.mark.parametrize("fuse", [True, False])
@pytest.mark.parametrize("size", [(8, 10), (10, 6), (16, 2), (2, 16), (2, 2)])
def test_equals_the_definition(size: tuple[int, int], fuse: bool) -> None:
    x, mask = example(*size)
    expected = torch.stack(
        [by_loops(sample, hole, scale=4, fuse=fuse) for sample, hole in zip(x, mask[:, 0], strict=True)]
    )
    assert expected.abs().max() > 0.1 or size == (2, 2)  # there all keys touch the hole
    for max_scores in (2**24, 300, 1):
        y = ContextualAttention2d(fuse=fuse, softmax_scale=4, max_scores=max_scores)(x, mask)
        torch.testing.assert_close(y, expected, rtol=0, atol=1e-12)


def test_fusing_changes_the_choice() -> None:
    x, mask = example(8, 12)
    fused, plain = (ContextualAttention2d(fuse=fuse)(x, mask) for fuse in (True, False))
    assert (fused - plain).abs().max() > 0.1


def test_blocks_do_not_change_result_or_gradient() -> None:
    x, mask = example(16, 20)
    results = []
    for max_scores in (2**24, 20_000, 2e4, float("inf"), 1):
        leaf = x.clone().requires_grad_()
        y = ContextualAttention2d(max_scores=max_scores)(leaf, mask)
        (gradient,) = torch.autograd.grad(y.square().sum(), leaf)
        results.append((y.detach(), gradient))
    by_function = torch.func.grad(lambda x: ContextualAttention2d(max_scores=20_000)(x, mask).square().sum())(x)
    results.append((results[0][0], by_function))
    for y, gradient in results[1:]:
        torch.testing.assert_close(y, results[0][0], rtol=0, atol=1e-12)
        torch.testing.assert_close(gradient, results[0][1], rtol=0, atol=1e-11)


class Largest(TorchDispatchMode):
    """The number of elements of the largest tensor that any operation returned."""

    elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else (result,):
            if isinstance(tensor, torch.Tensor):
                self.elements = max(self.elements, tensor.numel())
        return result


def test_no_tensor_outgrows_a_block() -> None:
    x, mask = example(64, 64, batch=2, channels=1)
    positions, rows = 32 * 32, 2
    for max_scores, expected_rows in ((2 * rows * 32 * positions, rows), (2**24, 32)):
        leaf = x.float().requires_grad_()
        with Largest() as largest:
            ContextualAttention2d(max_scores=max_scores)(leaf, mask.float()).sum().backward()
        # A block and the two rows and columns around it; nothing of the map itself is as large.
        assert largest.elements == 2 * (expected_rows + 2) * (32 + 2) * (positions + 2)


def test_gradient_is_right() -> None:
    x, mask = example(6, 8, batch=1, channels=1)
    for layer in (ContextualAttention2d(softmax_scale=2), ContextualAttention2d(softmax_scale=2, max_scores=1)):
        assert torch.autograd.gradcheck(lambda x, layer=layer: layer(x, mask), x.requires_grad_())


def test_every_sample_has_its_own_mask() -> None:
    x, mask = example(16, 16)
    together = ContextualAttention2d()(x, mask)
    alone = torch.cat([ContextualAttention2d()(x[i : i + 1], mask[i : i + 1]) for i in range(2)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-13)


def test_the_hole_is_filled_with_the_pattern_around_it() -> None:
    # A pattern that repeats every 4 pixels: the best match of any patch is the same place in another repetition.
    torch.manual_seed(0)
    x = torch.randn(1, 4, 4, 4).repeat(1, 1, 8, 8)
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 12:20, 12:20] = 1
    y = ContextualAttention2d()(x, mask)
    torch.testing.assert_close(y[..., 12:20, 12:20], x[..., 12:20, 12:20], rtol=0, atol=1e-4)


def test_nothing_is_borrowed_from_the_hole() -> None:
    x, mask = example(16, 16)
    mask[:] = 0
    mask[..., 4:12, 4:12] = 1
    y = ContextualAttention2d()(x.masked_fill(mask > 0.5, 1e6), mask)
    assert 0 < y.abs().max() < x.abs().max() * 1.01  # means of what is known: not a trace of 1e6


def test_without_a_hole_and_all_hole() -> None:
    torch.manual_seed(0)
    x = 10 * torch.randn(2, 8, 16, 16)
    itself = ContextualAttention2d(fuse=False)(x, torch.zeros(2, 1, 16, 16))
    torch.testing.assert_close(itself[..., 1:-1, 1:-1], x[..., 1:-1, 1:-1])  # every patch finds itself; 4 overlap
    leaf = x.clone().requires_grad_()
    y = ContextualAttention2d()(leaf, torch.ones(2, 1, 16, 16))
    y.sum().backward()
    assert torch.equal(y, torch.zeros_like(x))
    assert leaf.grad is not None and torch.equal(leaf.grad, torch.zeros_like(x))


def test_a_map_of_zeros_has_a_finite_gradient() -> None:
    x, (_, mask) = torch.zeros(2, 3, 8, 8, requires_grad=True), example(8, 8)
    ContextualAttention2d()(x, mask.float()).square().sum().backward()
    assert x.grad is not None and torch.equal(x.grad, torch.zeros_like(x))


@pytest.mark.parametrize("step", [1, 2, 4])
def test_a_larger_mask_is_read_at_every_second_pixel_of_the_map(step: int) -> None:
    x, mask = example(8, 12)
    larger = torch.ones(2, 1, 8 * step, 12 * step, dtype=torch.float64)
    larger[:, :, ::step, ::step] = mask
    larger[:, :, step :: 2 * step] = 1  # odd rows of the map are never read
    assert torch.equal(ContextualAttention2d()(x, larger), ContextualAttention2d()(x, mask))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_computes_in_float32(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x, mask = (100 * torch.randn(2, 16, 16, 16)).to(dtype), example(16, 16)[1].float()  # squares overflow float16
    expected = ContextualAttention2d()(x.float(), mask).to(dtype)
    y = ContextualAttention2d()(x, mask.to(dtype))
    assert y.dtype == dtype and y.isfinite().all()
    assert torch.equal(y, expected)
    with torch.autocast("cpu", dtype=dtype):
        assert torch.equal(ContextualAttention2d()(x.float(), mask).to(dtype), expected)


def test_is_exported_without_blocks() -> None:
    layer, (x, mask) = ContextualAttention2d(max_scores=1).eval(), example(8, 12)
    exported = torch.export.export(layer, (x, mask))
    kinds = {node.target for node in exported.graph.nodes if node.op == "call_function"}
    assert not any(isinstance(kind, torch._ops.HigherOrderOperator) for kind in kinds)  # no autocast, no checkpoint
    assert sum(kind is torch.ops.aten.softmax.int for kind in kinds) == 1
    torch.testing.assert_close(exported.module()(x, mask), layer(x, mask), rtol=0, atol=1e-12)


def test_shapes_are_inferred_without_memory() -> None:
    x, mask = torch.zeros(1, 4, 512, 512, device="meta"), torch.zeros(1, 1, 512, 512, device="meta")
    assert ContextualAttention2d()(x, mask).shape == x.shape


def test_bad_arguments() -> None:
    for name in ("softmax_scale", "max_scores"):
        for bad in (0, float("nan")):
            with pytest.raises(ValueError, match=f"{name} must be greater than 0; got {bad}"):
                ContextualAttention2d(**{name: bad})
    layer, x = ContextualAttention2d(), torch.zeros(2, 4, 8, 12)
    with pytest.raises(ValueError, match=r"x must have an even height and width; got \(7, 12\). Pad it"):
        layer(x[:, :, :7], torch.zeros(2, 1, 7, 12))
    for shape in ((2, 8, 12), (1, 1, 8, 12), (2, 3, 8, 12), (2, 1, 4, 6), (2, 1, 16, 12), (2, 1, 12, 18)):
        with pytest.raises(ValueError, match=r"mask must be .*\(2, 1, 8, 12\) or a whole multiple .*1 marks the hole"):
            layer(x, torch.zeros(shape))
    with pytest.raises(TypeError, match="mask must be a floating-point tensor; got torch.bool"):
        layer(x, torch.zeros(2, 1, 8, 12, dtype=torch.bool))


def test_an_infinite_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="softmax_scale must be finite: .*; got inf"):
        ContextualAttention2d(softmax_scale=float("inf"))
