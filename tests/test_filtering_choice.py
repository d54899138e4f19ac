"""What minimal filtering is taken for, by what the processor computes with."""

import pytest
import torch

from gatedinpaint import _filtering_choice
from gatedinpaint._filtering_choice import filtering_wanted


@pytest.mark.parametrize(
    ("vectors", "threads", "channels", "filters", "side", "kept", "wanted"),
    [
        # What benchmarks/filtering.py measured: faster where it is wanted, slower where not.
        ("avx512", 2, 128, 256, 64, False, True),
        ("wider convolutions", 2, 128, 256, 64, False, False),
        ("wider convolutions", 2, 128, 256, 64, True, False),
        ("wider convolutions", 2, 256, 512, 64, False, False),
        ("wider convolutions", 2, 256, 512, 64, True, True),
        ("wider convolutions", 1, 128, 256, 64, False, False),
        ("wider convolutions", 1, 256, 512, 128, False, True),
        ("wider convolutions", 2, 512, 1024, 16, True, False),
        ("wider products too", 2, 128, 256, 64, False, True),
        ("wider products too", 2, 64, 128, 64, True, False),
        ("wider products too", 2, 512, 1024, 16, False, False),
        ("wider products too", 2, 512, 1024, 16, True, True),
        ("wider products too", 1, 64, 128, 128, False, True),
        ("wider products too", 1, 32, 64, 64, True, False),
        ("avx512", 2, 16, 32, 256, True, False),
        ("avx512", 2, 128, 64, 64, False, False),
        ("avx2", 2, 128, 64, 64, False, True),  # a branch of SPD-8
        ("avx2", 2, 64, 128, 64, False, True),
        ("avx2", 2, 256, 512, 16, False, False),
        ("avx2", 2, 256, 512, 16, True, True),
        ("avx2", 2, 32, 32, 256, True, False),
        ("avx2", 1, 64, 64, 128, False, True),
        ("avx2", 1, 32, 32, 256, True, False),
    ],
)
def test_goes_by_the_processor(
    vectors: str,
    threads: int,
    channels: int,
    filters: int,
    side: int,
    kept: bool,
    wanted: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    products = vectors == "wider products too"
    monkeypatch.setattr(_filtering_choice, "vectors", lambda: "wider convolutions" if products else vectors)
    monkeypatch.setattr(_filtering_choice, "onednn_multiplies", lambda: products)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    shape = torch.Size([1, channels, side, side])
    assert filtering_wanted(shape, filters, dilation=1, padding=1, kept=kept) is wanted


def test_every_phase_of_a_dilation_has_tiles_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_filtering_choice, "vectors", lambda: "avx512")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    # At 8 the phases of 8 × 8 pixels are whole tiles, at 32 those of 2 × 2 a quarter of one.
    shape = torch.Size([1, 128, 64, 64])
    wanted = [filtering_wanted(shape, 256, dilation=d, padding=d, kept=False) for d in (1, 8, 32)]
    assert wanted == [True, True, False]
