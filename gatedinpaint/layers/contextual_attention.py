"""Contextual attention: the hole borrows patches of the feature map from where it is known."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from gatedinpaint._checks import TO_MASK, check_float, check_image, check_mask_values, check_positive, mask_hint

# Of the norm of a key, so that a patch of zeros stays zero.
_SMALLEST = 1e-4


class ContextualAttention2d(nn.Module):
    r"""Rebuild a feature map from patches of itself that lie outside the hole.

    Positions are those of the map q at half its size (nearest). With P(p) the 3×3 patch of q around p and V(k) the 4×4
    patch of x that the position k stands for,

    .. math::
        s(p, k) &= \Big\langle P(p), \frac{P(k)}{\max(\lVert P(k) \rVert, 10^{-4})} \Big\rangle \\
        a(p, k) &= m_k \operatorname{softmax}_k \big(\lambda\, m_k\, \bar s(p, k)\big) \\
        y &= \tfrac14 \operatorname{fold}_p \sum_k a(p, k)\, V(k).

    m_k is 1 where the 3×3 patch of the mask around k holds no hole, else 0. Fusing, s̄, adds to a score those of the
    pair one step before and one step behind, s̄(p, k) = Σ s(p + i, k + i) for i = −1, 0, 1, once with the positions
    counted along the rows and once down the columns: neighbours that match neighbours count more. At the end of a row
    the next step is the beginning of the following row. The layer has no weights.

    Memory: the scores are computed for as many rows of positions at a time as ``max_scores`` allows, at least one; to
    fuse them, two rows more are computed than kept. Such a block takes three to four times the memory of its scores;
    the rest, about twenty times the map, grows with the map and not with its square. With more than one block, the
    backward pass computes the scores of each again instead of keeping them, but not under ``torch.func``. While it is
    compiled or exported the layer is one block, so that the map's size may stay open.

    Args:
        softmax_scale: λ, the sharpness of the choice.
        fuse: s̄ as above; without, s̄ = s.
        max_scores: the largest number of scores in a block. A map of B × H × W has B · (HW / 4)² of them: the
            default, 2²⁴, is one map of 128×128, and 64 MB.

    Shapes:
        x (B, C, H, W), H and W even; mask (B, 1, n·H, n·W) with 1 = hole, cut at 0.5, of which every 2n-th row and
        column is read → y (B, C, H, W), of the type of x. Computed in float32 (float64 stays) with autocast off. Every
        sample has its own mask. Without a hole every patch may be borrowed, its own too; where all is hole, y is 0.

    Raises:
        TypeError: x or mask is no floating-point tensor.
        ValueError: a softmax_scale that is not positive and finite; odd H or W; a mask of another batch, with
            values beyond 0 and 1 (looked at on a CPU alone), or whose size is no multiple of the map's.

    Departs from the paper:
        As in DeepFillv2's networks, a key in the hole keeps its place in the softmax with a score of 0, and takes its
        share of the weight, which is then dropped. Their common PyTorch port uses the first sample's mask for all.

    Reference:
        Yu et al., "Generative Image Inpainting with Contextual Attention", CVPR 2018.

    Example:
        >>> mask = torch.zeros(1, 1, 64, 64)
        >>> mask[..., 24:48, 16:40] = 1
        >>> ContextualAttention2d()(torch.randn(1, 8, 16, 16), mask).shape
        torch.Size([1, 8, 16, 16])
    """

    def __init__(self, *, softmax_scale: float = 10.0, fuse: bool = True, max_scores: int = 2**24) -> None:
        super().__init__()
        check_positive(softmax_scale, name="softmax_scale")
        if math.isinf(softmax_scale):
            raise ValueError("softmax_scale must be finite: infinity times a score of 0 is NaN; got inf. Try 1000.")
        check_positive(max_scores, name="max_scores")
        self.softmax_scale = softmax_scale
        self.fuse = fuse
        self.max_scores = max_scores

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (B, C, H, W), mask (B, 1, n·H, n·W) → y (B, C, H, W)."""
        step = _check(x, mask)
        device = x.device.type
        # Only where it is on: entering the context would show in an exported graph, and "meta" has none.
        if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
            with torch.autocast(device, enabled=False):
                return self.forward(x, mask)
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        size = x.shape[2] // 2, x.shape[3] // 2
        queries = F.unfold(wide[:, :, ::2, ::2], 3, padding=1).transpose(1, 2)  # (B, L, 9C)
        keys = queries / torch.linalg.vector_norm(queries, dim=2, keepdim=True).clamp(min=_SMALLEST)
        hole = (mask[:, :, :: 2 * step, :: 2 * step] > 0.5).to(wide.dtype)
        touched = F.max_pool2d(hole, 3, stride=1, padding=1).flatten(2).transpose(1, 2)
        known = _down_columns(1 - touched, size)  # (B, L, 1)
        values = _down_columns(F.unfold(wide, 4, padding=1, stride=2).transpose(1, 2), size) * known  # (B, L, 16C)
        factor = self.softmax_scale * known.transpose(1, 2)
        if self.fuse:
            queries, keys = F.pad(queries, (0, 0, 2, 2)), F.pad(keys, (0, 0, 1, 1))
        else:
            keys = _down_columns(keys, size)

        def attend(first: int, last: int) -> Tensor:
            """The means of the values for some rows of queries."""
            if self.fuse:
                scores = _fused_scores(queries, keys, size, first, last)
            else:
                scores = queries[:, first * size[1] : last * size[1]] @ keys.transpose(1, 2)
            return (factor * scores).softmax(dim=2) @ values

        patches = self._in_blocks(attend, x.shape[0], size).transpose(1, 2)
        return (F.fold(patches, x.shape[2:], 4, padding=1, stride=2) / 4).to(x.dtype)

    def _in_blocks(self, attend: Callable[[int, int], Tensor], batch: int, size: tuple[int, int]) -> Tensor:
        """``attend`` to all rows, as many at a time as ``max_scores`` allows: (B, L, 16C)."""
        height, width = size
        if torch.compiler.is_compiling():
            return attend(0, height)
        rows = int(min(height, max(1, self.max_scores / (batch * width * height * width))))  # max_scores may be 1e6
        if rows == height:
            return attend(0, height)
        blocks = [(first, min(first + rows, height)) for first in range(0, height, rows)]
        # The transforms of torch.func know no checkpoints.
        if torch.is_grad_enabled() and not torch._C._are_functorch_transforms_active():
            return torch.cat([checkpoint(attend, *block, use_reentrant=False) for block in blocks], dim=1)
        return torch.cat([attend(*block) for block in blocks], dim=1)

    def extra_repr(self) -> str:
        """Shown by ``print(module)``."""
        return f"softmax_scale={self.softmax_scale}, fuse={self.fuse}, max_scores={self.max_scores}"


def _fused_scores(queries: Tensor, keys: Tensor, size: tuple[int, int], first: int, last: int) -> Tensor:
    """s̄ of the queries' rows ``first`` to ``last`` − 1: (B, rows · width, L), keys counted down the columns.

    Both come along the rows, with zeros around: queries (B, 2 + L + 2, 9C), keys (B, 1 + L + 1, 9C).
    """
    height, width = size
    rows = torch.arange(first - 1, last + 1, device=queries.device)
    # Counted down the columns, what precedes the top of a column is the bottom of the column to its left. So the row
    # above the first is the last one, read one step earlier, and the row below the last is the first, one step later.
    beyond = (rows >= height).long() - (rows < 0).long()  # rows // height; ONNX has no % of an open size
    starts = (rows - beyond * height) * width + beyond
    steps = torch.arange(-1, width + 1, device=queries.device)
    windows = queries[:, starts[:, None] + steps + 2]  # (B, rows + 2, width + 2, 9C)
    scores = windows.flatten(1, 2) @ keys.transpose(1, 2)
    scores = _diagonal_sum(torch.unflatten(scores, 1, (-1, width + 2)), dim=2)  # (B, rows + 2, width, L)
    if first == 0:
        scores[:, 0, 0] = 0  # nothing precedes the first position,
    if last == height:
        scores[:, -1, -1] = 0  # and nothing follows the last
    scores = torch.unflatten(scores, 3, size).transpose(3, 4).flatten(3)
    return _diagonal_sum(F.pad(scores, (1, 1)), dim=1).flatten(1, 2)


def _diagonal_sum(scores: Tensor, *, dim: int) -> Tensor:
    """Σ scores[…, p + i, …, k + i] for i = 0, 1, 2, p along ``dim`` and k along the last: both end up 2 shorter."""
    first, second, third = (
        scores.narrow(dim, i, scores.shape[dim] - 2).narrow(-1, i, scores.shape[-1] - 2) for i in range(3)
    )
    return (first + second).add_(third)


def _down_columns(x: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, L, D) from counting the positions along the rows to counting them down the columns."""
    return torch.unflatten(x, 1, size).transpose(1, 2).flatten(1, 2)


def _check(x: Tensor, mask: Tensor) -> int:
    """How many pixels of the mask one of x spans."""
    check_image(x, name="x", channels=None)
    check_float(mask, name="mask", remedy=TO_MASK)
    batch, _, height, width = x.shape
    if height % 2 or width % 2:
        raise ValueError(f"x must have an even height and width; got {(height, width)}. Pad it.")
    step = mask.shape[-1] // width if mask.ndim == 4 else 0
    if step < 1 or tuple(mask.shape) != (batch, 1, step * height, step * width):
        raise ValueError(
            f"mask must be (B, 1, n·H, n·W) for x {tuple(x.shape)}: ({batch}, 1, {height}, {width}) or a whole "
            f"multiple in height and width; got {tuple(mask.shape)}.{mask_hint(mask, batch)}"
        )
    check_mask_values(mask)
    return step
