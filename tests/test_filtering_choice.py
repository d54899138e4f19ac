"""What minimal filtering is taken for, on processors that multiply matrices at full and at half width."""

import pytest
import torch

from gatedinpaint import _filtering_choice
from gatedinpaint._filtering_choice import filtering_wanted


@pytest.mark.parametrize(
    ("half_width", "threads", "channels", "side", "kept", "wanted"),
    [
        # What benchmarks/filtering.py measured: faster where it is wanted, slower where not.
        (False, 2, 128, 64, False, True),
        (True, 2, 128, 64, False, False),
        (True, 2, 128, 64, True, False),
        (True, 2, 256, 64, False, False),
        (True, 2, 256, 64, True, True),
        (True, 1, 128, 64, False, False),
        (True, 1, 256, 128, False, True),
        (True, 2, 512, 16, True, False),
        (False, 2, 16, 256, True, False),
    ],
)
def test_goes_by_the_processor(
    half_width: bool,
    threads: int,
    channels: int,
    side: int,
    kept: bool,
    wanted: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_filtering_choice, "products_use_half_the_width", lambda: half_width)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    shape = torch.Size([1, channels, side, side])
    assert filtering_wanted(shape, 2 * channels, dilation=1, padding=1, kept=kept) is wanted
