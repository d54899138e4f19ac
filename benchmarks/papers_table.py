"""Table 1 of the paper, as printed."""

from typing import NamedTuple


class PaperRow(NamedTuple):
    """A line of Table 1 of the paper; None where it prints no figure."""

    method: str
    data: str
    psnr: float | None
    ssim: float | None
    fid: float | None
    lpips: float | None


PAPERS_TABLE = (
    PaperRow("DeepFillv2", "FFHQ", 22.52, 0.845, 19.336, 0.128),
    PaperRow("DeepGIN", "FFHQ", 24.36, 0.867, 37.577, 0.142),
    PaperRow("FFM", "CelebA", 23.52, 0.84, None, None),
    PaperRow("DIP", "CelebA", 25.46, 0.85, None, None),
)
"""As printed. The authors' own row is empty; FFM is cited nowhere."""
