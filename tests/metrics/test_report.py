import math
from pathlib import Path

import numpy as np
import pytest
import torch

from gatedinpaint.metrics import InpaintingEvaluation, InpaintingReport, summary_table


def report(method: str = "ours", ids: str = "ab", **figures: float) -> InpaintingReport:
    rows = [{"id": id, "hole_ratio": 0.2, **(figures or {"PSNR hole": 20.0})} for id in ids.split() or list(ids)]
    return InpaintingReport(method, {"images": len(rows)}, rows, {}, {"seed": 0})


def test_names_that_read_like_numbers_stay_names(tmp_path: Path) -> None:
    saved = report("inf", "nan inf -inf c", **{"PSNR hole": math.inf, "SSIM": math.nan})
    saved.save(tmp_path / "report.json")
    loaded = InpaintingReport.load(tmp_path / "report.json")
    assert loaded.method == "inf"
    assert [row["id"] for row in loaded.rows] == ["nan", "inf", "-inf", "c"]
    assert loaded.rows[0]["PSNR hole"] == math.inf and math.isnan(loaded.rows[0]["SSIM"])
    assert loaded.compare(saved)["PSNR hole"].mean == 0


@pytest.mark.parametrize("name", ["ours-0.1", "ours.md", "ours"])
def test_a_file_whose_tables_could_land_on_another_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"must end in \.json"):
        report().save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_the_best_is_bold_in_every_order_although_a_figure_is_missing() -> None:
    several = [report("none", identity=math.nan), report("some", identity=0.5), report("best", identity=1.0)]
    for order in (several, several[::-1]):
        lines = summary_table(order, ["identity"]).splitlines()
        assert "| best | **1.0000** |" in lines and "| some | 0.5000 |" in lines and "| none | – |" in lines


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_means_do_not_depend_on_the_default_type_or_device(dtype: torch.dtype) -> None:
    both = [report(**{"PSNR hole": value}) for value in (22.18, 20.07)]
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device("meta"):
            summary, gain = both[0].summary()["PSNR hole"], both[0].compare(both[1])["PSNR hole"]
    finally:
        torch.set_default_dtype(before)
    assert summary == (22.18, 22.18, 22.18)
    assert gain.mean == 22.18 - 20.07


def test_the_width_of_the_band_may_be_numpys(tmp_path: Path) -> None:
    evaluation, image, mask = (
        InpaintingEvaluation(band=np.int64(2)),
        torch.zeros(1, 3, 16, 16),
        torch.ones(1, 1, 16, 16),
    )
    evaluation.update({"a": image}, image, mask, ids=["one"])
    evaluation.reports()["a"].save(tmp_path / "a.json")
    assert InpaintingReport.load(tmp_path / "a.json").protocol["band"] == 2


def test_a_figure_that_no_report_has() -> None:
    with pytest.raises(ValueError, match=r"among \['PSNR hole'\]; got \['PSNR hol'\]"):
        summary_table([report()], ["PSNR hol"])


def test_the_table_takes_what_an_evaluation_reports() -> None:
    by_method = {"ours": report("ours", SSIM=0.5), "theirs": report("theirs", SSIM=0.4)}
    assert summary_table(by_method) == summary_table(list(by_method.values()))
    for nothing in ([], {}):
        with pytest.raises(ValueError, match="at least one report; got none"):
            summary_table(nothing)


def test_results_without_a_method_are_refused() -> None:
    image, mask = torch.zeros(2, 3, 32, 32), torch.ones(2, 1, 32, 32)
    with pytest.raises(TypeError, match=r'results must be a dict such as \{"ours": result\}; got Tensor'):
        InpaintingEvaluation().update(image, image, mask, ids=[0, 1])
