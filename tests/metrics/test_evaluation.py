import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio
from torch import Tensor

from gatedinpaint.metrics import FrechetDistance, InpaintingEvaluation, InpaintingReport, psnr, ssim, summary_table


def colour(image: Tensor) -> Tensor:
    return image.mean((2, 3))


def faces(count: int = 6, size: int = 32) -> tuple[Tensor, Tensor, Tensor]:
    """Images, holes of different sizes, and a result that is wrong in the hole alone."""
    generator = torch.Generator().manual_seed(0)
    image, noise = torch.rand(2, count, 3, size, size, generator=generator) - 0.5
    mask = torch.zeros(count, 1, size, size)
    for index in range(count):
        mask[index, :, 8 : 12 + 2 * index, 8:24] = 1
    return image, mask, torch.where(mask > 0, image + 0.5 * noise, image)


def reports(
    *, parts: tuple[int, ...] = (6,), extra: float = 0.0, moved: int = 0, band: int = 2
) -> dict[str, InpaintingReport]:
    evaluation = InpaintingEvaluation(extractors=[colour], embedder=colour, band=band)
    image, mask, result = faces()
    image, mask = image + extra, mask.roll(moved, dims=3)
    first = 0
    for size in parts:
        part = slice(first, first + size)
        results = {"noise": result[part] + extra, "truth": image[part]}
        evaluation.update(results, image[part], mask[part], ids=[f"face-{i}" for i in range(part.start, part.stop)])
        first += size
    return evaluation.reports(seed=7, set="drawn")


def test_figures_are_those_of_the_metrics_in_their_regions() -> None:
    image, mask, result = faces()
    report = reports()["noise"]
    assert report.figures == ["PSNR", "PSNR hole", "PSNR band", "SSIM", "SSIM hole", "SSIM band", "identity"]
    for index, row in enumerate(report.rows):
        x, t = result[index].double().numpy(), image[index].double().numpy()
        assert row["PSNR"] == pytest.approx(peak_signal_noise_ratio(t, x, data_range=2.0), rel=1e-6)
        bottom = 12 + 2 * index
        inside = np.s_[:, 8:bottom, 8:24]
        assert row["PSNR hole"] == pytest.approx(
            peak_signal_noise_ratio(t[inside], x[inside], data_range=2.0), rel=1e-6
        )
        band = np.zeros((32, 32), bool)
        band[6 : bottom + 2, 6:26] = True
        band[10 : bottom - 2, 10:22] = False
        assert row["PSNR band"] == pytest.approx(
            peak_signal_noise_ratio(t[:, band], x[:, band], data_range=2.0), rel=1e-6
        )
        assert row["hole_ratio"] == pytest.approx(16 * (bottom - 8) / 32**2)
    torch.testing.assert_close(  # as of photos, from 0 on
        torch.tensor([row["SSIM hole"] for row in report.rows]),
        ssim((result + 1) / 2, (image + 1) / 2, data_range=1.0, mask=mask),
        rtol=0,
        atol=1e-5,
    )
    x, t = colour(result).double().numpy(), colour(image).double().numpy()
    likeness = (x * t).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(t, axis=1)
    assert [row["identity"] for row in report.rows] == pytest.approx(likeness, rel=1e-5)
    assert min(likeness) < 0.999
    distance = FrechetDistance(colour).update(image, real=True).update(result, real=False)
    assert report.distances == {"Fréchet distance (colour)": pytest.approx(distance.compute(), rel=1e-9)}


def test_batches_do_not_matter() -> None:
    whole, parts = reports()["noise"], reports(parts=(1, 3, 2))["noise"]
    assert whole.rows == parts.rows
    assert whole.protocol == parts.protocol
    for name, value in whole.distances.items():
        assert parts.distances[name] == pytest.approx(value, rel=1e-9)


def test_summary_by_hand_and_by_hole_ratio() -> None:
    rows = [{"id": str(i), "hole_ratio": ratio, "PSNR": value} for i, (ratio, value) in enumerate(
        [(0.05, 30.0), (0.1, 20.0), (0.15, 24.0), (1.0, 10.0)]
    )]  # fmt: skip
    report = InpaintingReport("m", {}, rows, {}, {})
    assert report.summary()["PSNR"].mean == 21.0
    low, high = report.summary()["PSNR"][1:]
    assert 10 <= low < 21 < high <= 30
    table = report.by_hole_ratio()
    assert list(table) == ["0–10 %", "10–20 %", "50–100 %"]
    assert [row["images"] for row in table.values()] == [1, 2, 1]
    assert [row["PSNR"].mean for row in table.values()] == [30.0, 22.0, 10.0]


def test_comparison_is_paired() -> None:
    both = reports()
    differences = both["noise"].compare(both["truth"])
    pairs = zip(both["noise"].rows, both["truth"].rows, strict=True)
    expected = np.mean([a["SSIM hole"] - b["SSIM hole"] for a, b in pairs])
    assert differences["SSIM hole"].mean == pytest.approx(expected)
    assert differences["SSIM hole"].high < 0
    assert differences["PSNR"].mean == -math.inf
    assert both["truth"].compare(both["truth"])["PSNR"] == (0, 0, 0)


def test_other_images_other_holes_or_another_band_cannot_be_compared(tmp_path: Path) -> None:
    for change in ({"extra": 0.01}, {"moved": 1}):
        with pytest.raises(ValueError, match=r"different protocols and cannot be compared; data: [0-9a-f]{64} and"):
            reports()["noise"].compare(reports(**change)["noise"])
    with pytest.raises(ValueError, match="noise and truth were measured by different protocols .*band: 2 and 3"):
        reports()["noise"].compare(reports(band=3)["truth"])
    with pytest.raises(ValueError, match="different protocols"):
        summary_table([reports()["noise"], reports(parts=(5,))["truth"]])


def test_saved_and_read_again(tmp_path: Path) -> None:
    report = reports()["truth"]
    assert report.rows[0]["PSNR"] == math.inf
    report.save(tmp_path / "out" / "truth.json")
    json.loads((tmp_path / "out" / "truth.json").read_text("utf-8"), parse_constant=pytest.fail)  # strict JSON
    assert InpaintingReport.load(tmp_path / "out" / "truth.json") == report
    assert (tmp_path / "out" / "truth.md").read_text("utf-8").strip() == report.markdown()
    assert report.manifest["seed"] == 7
    assert report.manifest["set"] == "drawn"
    assert torch.__version__.startswith(report.manifest["versions"]["torch"])
    (tmp_path / "no.json").write_text("{}")
    with pytest.raises(ValueError, match=r"no\.json: expected a report written by InpaintingReport\.save"):
        InpaintingReport.load(tmp_path / "no.json")


def test_tables() -> None:
    both = reports()
    lines = summary_table(list(both.values()), ["PSNR hole", "SSIM", "Fréchet distance (colour)"]).splitlines()
    assert lines[0] == "| method | PSNR hole | SSIM | Fréchet distance (colour) |"
    mean = both["noise"].summary()["PSNR hole"].mean
    assert lines[2].startswith(f"| noise | {mean:.2f} | ")
    assert lines[3] == "| truth | **inf** | **1.0000** | **0.00** |"
    text = both["noise"].markdown()
    assert "| PSNR hole | " in text
    assert "| 0–10 % | 2 | " in text  # 4 and 6 lines of 16 pixels of 1024: 6 % and 9 %; the next has 12.5 %
    assert f"- data: {both['noise'].protocol['data']}" in text


def test_range_of_255_on_images_in_one_is_refused_and_would_add_42_decibels() -> None:
    """The reference system's evaluation took images in [−1, 1] for 0 … 255; 20 · log10(255 / 2) = 42.11 dB."""
    image, mask, result = faces()
    honest = psnr(result, image, data_range=2.0, mask=mask)
    inflated = psnr(result, image, data_range=255.0, mask=mask)
    torch.testing.assert_close(inflated - honest, torch.full((6,), 42.1103), rtol=0, atol=1e-4)
    assert reports()["noise"].summary()["PSNR hole"].mean == pytest.approx(honest.mean().item(), rel=1e-6)
    evaluation = InpaintingEvaluation()
    photo = (image + 1) * 127.5
    with pytest.raises(ValueError, match=r"image must be in \[-1, 1\]; got values from"):
        evaluation.update({"m": photo}, photo, mask, ids=list("abcdef"))


def test_what_does_not_fit_is_refused() -> None:
    image, mask, result = faces()
    evaluation = InpaintingEvaluation()
    with pytest.raises(ValueError, match="no images were measured"):
        evaluation.reports()
    with pytest.raises(ValueError, match="hole pixel .*got none in sample 2"):
        empty = mask.clone()
        empty[2] = 0
        evaluation.update({"m": result}, image, empty, ids=list("abcdef"))
    with pytest.raises(ValueError, match=r"results\['m'\] and image must have one shape"):
        evaluation.update({"m": result[:1]}, image, mask, ids=list("abcdef"))
    with pytest.raises(ValueError, match=r"results\['m'\] must be in \[-1, 1\]; got values from"):
        evaluation.update({"m": 3 * result}, image, mask, ids=list("abcdef"))
    with pytest.raises(ValueError, match="a method needs a name; got an empty one"):
        evaluation.update({"": result}, image, mask, ids=list("abcdef"))
    with pytest.raises(TypeError, match="mask must be a floating-point tensor; got torch.int64"):
        evaluation.update({"m": result}, image, mask.long(), ids=list("abcdef"))
    with pytest.raises(ValueError, match="ids must name each of the 6 images once"):
        evaluation.update({"m": result}, image, mask, ids=list("aacdef"))
    evaluation.update({"m": result}, image, mask, ids=list("abcdef"))
    with pytest.raises(ValueError, match="by new names; got"):
        evaluation.update({"m": result[:1]}, image[:1], mask[:1], ids=["a"])
    with pytest.raises(ValueError, match=r"the methods \['m'\], as before; got \['other'\]"):
        evaluation.update({"other": result[:1]}, image[:1], mask[:1], ids=["g"])
    assert len(evaluation.reports()["m"].rows) == 6


def test_a_batch_that_raises_is_not_taken_in() -> None:
    def spoilt(image: Tensor) -> Tensor:
        features = colour(image)
        return features * math.nan if len(calls) and calls.pop() else features

    calls: list[bool] = []
    image, mask, result = faces()
    evaluation = InpaintingEvaluation(extractors=[spoilt])
    evaluation.update({"a": result[:4], "b": image[:4]}, image[:4], mask[:4], ids=list("abcd"))
    calls += [True, False, False]  # truth and "a" are measured before "b" fails
    with pytest.raises(ValueError, match="features must be finite"):
        evaluation.update({"a": result[4:], "b": image[4:]}, image[4:], mask[4:], ids=list("ef"))
    with pytest.raises(ValueError, match="hole pixel .*got none in sample 0, 1"):
        evaluation.update({"a": result[4:], "b": image[4:]}, image[4:], 0.5 * mask[4:], ids=list("ef"))
    report = evaluation.reports()["a"]
    assert [row["id"] for row in report.rows] == list("abcd") and report.protocol["images"] == 4
    evaluation.update({"a": result[4:], "b": image[4:]}, image[4:], mask[4:], ids=list("ef"))
    expected = FrechetDistance(colour).update(image, real=True).update(result, real=False).compute()
    assert evaluation.reports()["a"].distances == {"Fréchet distance (spoilt)": pytest.approx(expected, rel=1e-9)}


def test_a_region_that_is_empty_has_no_figure_and_leaves_the_others_theirs() -> None:
    image, mask, result = faces(3)
    mask[0] = 1  # no band
    mask[1] = 0
    mask[1, :, :3] = 1  # no window of SSIM
    evaluation = InpaintingEvaluation(band=2)
    evaluation.update({"m": result, "truth": image}, image, mask, ids=list("abc"))
    report = evaluation.reports()["m"]
    missing = {(row["id"], name) for row in report.rows for name in report.figures if math.isnan(row[name])}
    assert missing == {("a", "PSNR band"), ("a", "SSIM band"), ("b", "SSIM hole"), ("b", "SSIM band")}
    summary = report.summary()
    assert summary["SSIM hole"].mean == pytest.approx((report.rows[0]["SSIM hole"] + report.rows[2]["SSIM hole"]) / 2)
    assert not math.isnan(report.compare(evaluation.reports()["truth"])["SSIM hole"].mean)
    assert math.isnan(report.summary(least=1.0)["SSIM band"].mean)
    assert "| 50–100 % | 1 |" in report.markdown()


def test_extractors_measure_in_evaluation_mode_and_have_different_names() -> None:
    norm = torch.nn.BatchNorm2d(3)
    extractor = torch.nn.Sequential(norm, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    image, mask, result = faces()
    evaluation = InpaintingEvaluation(extractors=[extractor])
    evaluation.update({"m": result}, image, mask, ids=list("abcdef"))
    assert norm.num_batches_tracked == 0
    expected = FrechetDistance(extractor).update(image, real=True).update(result, real=False)
    assert evaluation.reports()["m"].distances == {expected.name: pytest.approx(expected.compute(), rel=1e-9)}
    with pytest.raises(ValueError, match="extractors must have different names"):
        InpaintingEvaluation(extractors=[extractor, torch.nn.Sequential(torch.nn.Flatten())])
    with pytest.raises(ValueError, match="Average maps over their pixels"):
        InpaintingEvaluation(extractors=[lambda x: x]).update({"m": result}, image, mask, ids=list("abcdef"))
