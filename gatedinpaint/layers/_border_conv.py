"""A convolution whose border is made in the number format of its input."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class BorderConv2d(nn.Conv2d):
    """:class:`torch.nn.Conv2d` for every padding mode, which under autocast pads in the autocast's own type.

    Autocast on the CPU sends ``F.pad(mode="replicate")`` to float32: the map is enlarged to float32, padded, and
    rounded again, although padding computes nothing. Parameters, names and results are those of
    :class:`torch.nn.Conv2d`.

    Example:
        >>> layer = BorderConv2d(3, 4, 3, padding=1, padding_mode="replicate")
        >>> x = torch.randn(1, 3, 8, 8)
        >>> torch.equal(layer(x), nn.Conv2d.forward(layer, x))
        True
    """

    def forward(self, input: Tensor) -> Tensor:
        """x (B, in_channels, H, W) → y (B, out_channels, H', W')."""
        kind = input.device.type
        if self.padding_mode == "zeros" or kind == "meta" or torch.compiler.is_compiling():  # meta knows no autocast
            return super().forward(input)
        if not torch.is_autocast_enabled(kind):
            return super().forward(input)
        with torch.autocast(kind, enabled=False):
            padded = F.pad(
                input.to(torch.get_autocast_dtype(kind)), self._reversed_padding_repeated_twice, self.padding_mode
            )
        return F.conv2d(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)
