"""What a batch may be, and that one which is refused leaves nothing behind."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from gatedinpaint.metrics import FrechetDistance, InpaintingEvaluation, summary_table


def batch(count: int = 4, size: int = 32) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    image = torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0)) - 0.5
    mask = torch.zeros(count, 1, size, size)
    mask[..., 8:20, 8:24] = 1
    return {"a": image * 0.9, "b": image * 0.8}, image, mask


def test_numbers_that_a_loader_made_a_tensor_of_are_ids() -> None:
    evaluation = InpaintingEvaluation()
    evaluation.update(*batch(), ids=torch.tensor([3, 1, 0, 2]))
    assert [row["id"] for row in evaluation.rows["a"]] == [3, 1, 0, 2]
    with pytest.raises(ValueError, match="by new names"):
        evaluation.update(*batch(), ids=torch.tensor([4, 5, 6, 3]))
    with pytest.raises(TypeError, match="words or whole numbers"):
        evaluation.update(*batch(), ids=[0.5, 1, 2, 3])
    report = evaluation.reports()["a"]
    assert report.compare(evaluation.reports()["b"])["PSNR hole"].mean > 0


def test_an_image_that_two_ranks_measured_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    evaluation = InpaintingEvaluation()
    evaluation.update(*batch(), ids=list("abcd"))
    monkeypatch.setattr("gatedinpaint.metrics.evaluation._from_all_ranks", lambda own: [own, own])
    with pytest.raises(ValueError, match="an image was measured on two ranks"):
        evaluation.reports()


def test_words_and_numbers_may_both_be_ids() -> None:
    evaluation = InpaintingEvaluation()
    evaluation.update(*batch(), ids=["a", 1, "1", 0])
    report = evaluation.reports()["a"]
    assert {row["id"] for row in report.rows} == {"a", 1, "1", 0}
    assert report.compare(report)["PSNR"].mean == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_results_may_be_of_another_precision_than_the_truth(dtype: torch.dtype) -> None:
    (_, image, mask), evaluation = batch(), InpaintingEvaluation()
    result = (image * 0.9).to(dtype)
    evaluation.update({"a": result}, image, mask, ids=list("abcd"))
    expected = InpaintingEvaluation()
    expected.update({"a": result.double()}, image.double(), mask, ids=list("abcd"))
    for row, wanted in zip(evaluation.rows["a"], expected.rows["a"], strict=True):
        assert {name: value for name, value in row.items() if name != "id"} == pytest.approx(
            {name: value for name, value in wanted.items() if name != "id"}, rel=1e-4
        )


def test_methods_may_come_in_another_order() -> None:
    evaluation = InpaintingEvaluation()
    results, image, mask = batch()
    evaluation.update(results, image, mask, ids=list("abcd"))
    evaluation.update(dict(reversed(results.items())), image, mask, ids=list("efgh"))
    rows = evaluation.reports()["a"].rows
    assert [row["PSNR"] for row in rows[:4]] == [row["PSNR"] for row in rows[4:]]


@pytest.mark.filterwarnings("ignore:4 images for 128 features")
def test_features_of_another_width_are_refused_and_nothing_of_their_batch_is_kept() -> None:
    def by_size(images: Tensor) -> Tensor:
        return images.mean(1).flatten(1)[:, ::8]

    evaluation = InpaintingEvaluation(extractors=[by_size])
    evaluation.update(*batch(), ids=list("abcd"))
    with pytest.raises(ValueError, match=r"by_size\) gave 128 before, now 288"):
        evaluation.update(*batch(size=48), ids=list("efgh"))
    report = evaluation.reports()["a"]
    assert report.protocol["images"] == len(report.rows) == 4
    assert report.protocol["sizes"] == ["32×32"]


def test_an_embedder_measures_in_evaluation_mode_and_sees_the_truth_once() -> None:
    class Embedder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(3)
            self.calls = 0

        def forward(self, images: Tensor) -> Tensor:
            self.calls += 1
            return self.norm(images.mean((2, 3)))

    embedder = Embedder()
    evaluation = InpaintingEvaluation(embedder=embedder)
    evaluation.update(*batch(), ids=list("abcd"))
    assert embedder.calls == 3  # two methods and the truth
    assert not embedder.training and not embedder.norm.running_mean.any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_the_share_of_the_hole_does_not_depend_on_the_type_of_the_images(dtype: torch.dtype) -> None:
    image, mask = torch.zeros(1, 3, 100, 100, dtype=dtype), torch.zeros(1, 1, 100, 100)
    mask.view(-1)[:999] = 1
    evaluation = InpaintingEvaluation()
    evaluation.update({"a": image}, image, mask, ids=["one"])
    assert evaluation.rows["a"][0]["hole_ratio"] == 0.0999
    assert list(evaluation.reports()["a"].by_hole_ratio()) == ["0–10 %"]


def test_a_soft_mask_is_cut_at_a_half() -> None:
    image = torch.rand(1, 3, 32, 32)
    soft = torch.tensor([0.0, 0.2, 0.5, 0.8]).repeat_interleave(8).expand(1, 1, 32, 32)
    reports = []
    for mask in (soft, (soft > 0.5).float()):
        evaluation = InpaintingEvaluation()
        evaluation.update({"a": image / 2}, image, mask, ids=["one"])
        reports.append(evaluation.reports()["a"])
    assert reports[0].rows == reports[1].rows and reports[0].protocol == reports[1].protocol
    assert reports[0].rows[0]["hole_ratio"] == 0.25


def test_what_protocol_and_manifest_say_is_not_said_otherwise() -> None:
    evaluation = InpaintingEvaluation()
    evaluation.update(*batch(), ids=list("abcd"))
    with pytest.raises(ValueError, match=r"\['command', 'data'\] are taken"):
        evaluation.reports(data="faces", command="mine", source="camera")
    assert evaluation.reports(source="camera")["a"].manifest["source"] == "camera"


def test_refused_features_do_not_fix_the_width() -> None:
    distance = FrechetDistance(lambda images: images.mean((2, 3)))
    with pytest.raises(ValueError, match="finite"):
        distance.update_features(torch.full((2, 7), float("nan")), real=True)
    with pytest.raises(ValueError, match=r"must be \(B, D\); got \(8,\)"):
        distance.update_features(torch.rand(8), real=True)
    with pytest.raises(TypeError, match="features"):
        distance.update_features(torch.ones(2, 3, dtype=torch.long), real=True)
    assert distance.update_features(torch.rand(4, 3), real=True).counts == (4, 0)


def test_regions_of_images_that_are_not_square() -> None:
    image = torch.rand(1, 3, 24, 48, generator=torch.Generator().manual_seed(0)) - 0.5
    evaluation = InpaintingEvaluation(band=2)
    for number, transposed in enumerate((False, True)):
        mask = torch.zeros(1, 1, 24, 48)
        mask[..., 8:16, 34:40] = 1  # beyond column 24
        pair = [x.transpose(2, 3) if transposed else x for x in (image, mask)]
        evaluation.update({"a": 0.9 * pair[0]}, *pair, ids=[number])
    lying, upright = ({k: v for k, v in row.items() if k != "id"} for row in evaluation.rows["a"])
    assert lying == pytest.approx(upright, rel=1e-4)  # NaN would not be
    assert evaluation.reports()["a"].protocol["sizes"] == ["24×48", "48×24"]


def test_the_order_of_the_images_does_not_matter() -> None:
    results, image, mask = batch()
    reports = []
    for order in ([0, 1, 2, 3], [2, 0, 3, 1]):
        evaluation = InpaintingEvaluation()
        evaluation.update({"a": results["a"][order]}, image[order], mask[order], ids=["abcd"[place] for place in order])
        reports.append(evaluation.reports()["a"])
    assert reports[0].protocol == reports[1].protocol and reports[0].rows == reports[1].rows
    backwards = replace(reports[1], rows=reports[1].rows[::-1])
    assert reports[0].compare(backwards)["PSNR hole"] == (0, 0, 0)  # by name, not by place


def test_one_image_has_no_distance() -> None:
    evaluation = InpaintingEvaluation(extractors=[lambda images: images.mean((2, 3))])
    evaluation.update(*batch(1), ids=["one"])
    report = evaluation.reports()["a"]
    assert all(math.isnan(value) for value in report.distances.values()) and len(report.distances) == 1
    assert summary_table([report]).splitlines()[-1].endswith("| – |")
