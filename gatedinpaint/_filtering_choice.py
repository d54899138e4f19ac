"""When a 3×3 convolution is computed by minimal filtering: by cost, unless the user says otherwise."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, NamedTuple

import torch

from gatedinpaint._processor import vectors
from gatedinpaint._products import onednn_multiplies

_mode: ContextVar[Literal["auto", "always", "never"]] = ContextVar("minimal_filtering", default="auto")


class _Costs(NamedTuple):
    """Costs of minimal filtering in multiplications of a plain convolution.

    Estimated by what the processor computes with; ``python -m benchmarks.filtering`` prints what they decide.
    """

    product: float
    """A multiplication in a product of matrices, which runs at a lower rate."""
    channel: float
    """A number transformed there and back."""
    filter: float
    """A weight transformed and read."""
    kept_filter: float
    """A weight transformed beforehand, and read."""


# One thread and more: they share a plain convolution better than small products. The last are those of processors with
# wider convolutions where oneDNN computes the products as well.
_COSTS = {
    "avx2": (_Costs(1.5, 50.0, 2000.0, 500.0), _Costs(1.0, 100.0, 2400.0, 500.0)),
    "avx512": (_Costs(2.0, 75.0, 3000.0, 500.0), _Costs(2.6, 45.0, 4200.0, 500.0)),
    "wider convolutions": (_Costs(2.6, 90.0, 6000.0, 500.0), _Costs(2.4, 145.0, 8000.0, 600.0)),
    "wider products too": (_Costs(1.5, 85.0, 4000.0, 450.0), _Costs(1.4, 125.0, 4500.0, 700.0)),
}
_WORTH_IT = 0.95


@contextmanager
def minimal_filtering(mode: Literal["auto", "always", "never"]) -> Iterator[None]:
    """Choose inside the block how the 3×3 convolutions of this package are computed on a CPU, in float32.

    By minimal filtering (Winograd) they need a quarter of the multiplications, and transforms besides. Results differ
    from those of plain summation by rounding, a few millionths of the largest. NaN and infinity reach all 4×4 results
    that are computed together.

    Args:
        mode: ``"auto"``, where it is faster (what happens outside of any block); ``"always"``, wherever it can be done:
            stride 1, no groups, nothing traced or compiled, no autocast; ``"never"``.

    Raises:
        ValueError: another mode.

    Example:
        >>> from gatedinpaint import GatedConv2d
        >>> layer, x = GatedConv2d(64, 64, 3), torch.randn(1, 64, 32, 32)
        >>> with torch.no_grad(), minimal_filtering("never"):
        ...     exact = layer(x)
        >>> torch.allclose(layer(x), exact, atol=1e-4)
        True
    """
    if mode not in ("auto", "always", "never"):
        raise ValueError(f'mode must be "auto", "always" or "never"; got {mode!r}.')
    token = _mode.set(mode)
    try:
        yield
    finally:
        _mode.reset(token)


def filtering_wanted(shape: torch.Size, out_channels: int, *, dilation: int, padding: int, kept: bool) -> bool:
    """Whether to filter an x of ``shape`` (B, C, H, W) so: because it is faster, or because the user wants it.

    ``kept``: the weight is transformed already.
    """
    mode = _mode.get()
    if mode != "auto":
        return mode == "always"
    batch, in_channels, *size = shape
    height, width = (side + 2 * padding - 2 * dilation for side in size)
    tiles = batch * dilation**2 * -(-height // (4 * dilation)) * -(-width // (4 * dilation))
    products, channels = in_channels * out_channels, in_channels + out_channels
    costs = _COSTS[_kind()][torch.get_num_threads() > 1]
    fewer = tiles * 36 * (costs.product * products + costs.channel * channels)
    fewer += products * (costs.kept_filter if kept else costs.filter)
    return fewer < _WORTH_IT * batch * height * width * 9 * products


def _kind() -> str:
    kind = vectors()
    return "wider products too" if kind == "wider convolutions" and onednn_multiplies() else kind
