import importlib.util
import json
import math
from argparse import Namespace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from skimage.data import astronaut
from torch import Tensor

from benchmarks import baselines, protocol, quality, quality_report
from examples.mask_removal import judging
from examples.mask_removal.data import Batch
from examples.mask_removal.fills import navier_stokes, telea
from gatedinpaint import InpaintGenerator, image_to_photo, photo_to_image, save_model, write_photo
from gatedinpaint.faces import FaceLandmarker, align, mask_polygon, polygon_hole


def batch() -> Batch:
    """A smooth picture with a hole of 16 × 16 in its middle, and a reference that is right in the hole's left half."""
    x, y = torch.meshgrid(torch.linspace(-0.8, 0.8, 64), torch.linspace(-0.8, 0.8, 64), indexing="xy")
    image = torch.stack([x, y, -x])[None]
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 24:40, 24:40] = 1
    known = torch.zeros_like(mask)
    known[..., :32] = 1
    return Batch(image, mask, image * known, known)


FILLS = {
    "Telea": telea,
    "Navier-Stokes": navier_stokes,
    "biharmonic": baselines.biharmonic,
    "pasted reference": baselines.pasted_reference,
    "prior": baselines.prior_of(40),
}


@pytest.mark.parametrize("name", list(FILLS))
def test_no_method_sees_the_truth_in_the_hole(name: str) -> None:
    sample = batch()
    changed = sample._replace(image=torch.where(sample.mask > 0, -sample.image, sample.image))
    with torch.inference_mode():
        first, second = FILLS[name](sample), FILLS[name](changed)
    assert first.shape == sample.image.shape
    assert first.abs().max() <= 1
    inside = (sample.mask > 0).expand_as(first)
    torch.testing.assert_close(first[inside], second[inside], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "most"), [("Telea", 0.3), ("Navier-Stokes", 0.3), ("biharmonic", 1e-3), ("prior", 0.3)]
)
def test_every_method_fills_a_smooth_hole(name: str, most: float) -> None:
    sample = batch()
    error = (FILLS[name](sample) - sample.image).abs() * sample.mask
    assert error.max() < most  # a plane is biharmonic


def test_pasted_reference_is_the_reference_where_it_is_known() -> None:
    sample = batch()
    result = baselines.pasted_reference(sample)
    assert torch.equal(result[..., :32], sample.image[..., :32])
    assert torch.equal(result[..., 32:], telea(sample)[..., 32:])


def test_prior_leaves_the_random_state_and_repeats_itself() -> None:
    before = torch.get_rng_state()
    first = baselines.deep_image_prior(batch(), steps=2, width=8)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, baselines.deep_image_prior(batch(), steps=2, width=8))


def test_folder_of_results(tmp_path: Path) -> None:
    sample = batch()
    folder = baselines.FolderOfResults(tmp_path)
    with pytest.raises(ValueError, match=r"no face\.png or \.jpg"):
        folder.of(["face"], sample)
    write_photo(tmp_path / "face.png", image_to_photo(sample.image))
    torch.testing.assert_close(folder.of(["face"], sample), sample.image, rtol=0, atol=1.01 / 255)
    write_photo(tmp_path / "small.png", image_to_photo(sample.image[..., :40]))
    with pytest.raises(ValueError, match=r"small\.png: must be \(64, 64\) pixels \(H, W\); got \(64, 40\)"):
        folder.of(["small"], sample)


def test_papers_protocol_on_a_photo(tmp_path: Path) -> None:
    (tmp_path / "img_celeba").mkdir()
    for name in ("000001", "000002", "000003"):
        write_photo(tmp_path / "img_celeba" / f"{name}.png", astronaut())
    write_photo(tmp_path / "img_celeba" / "000004.png", np.zeros((200, 200, 3), np.uint8))
    parts = "000001.jpg 0\n000002.jpg 2\n000003.jpg 2\n000004.jpg 2\n"
    (tmp_path / "list_eval_partition.txt").write_text(parts)
    faces = protocol.papers("celeba", tmp_path / "img_celeba", None)
    assert faces.about == ("celeba, its test part: 3 photos at 256 px, hole: the polygon of the lower face")
    ((ids, sample),) = faces.source.batches()
    assert ids == ["000002", "000003"]
    assert isinstance(faces.source, protocol.LowerFaces)
    assert faces.source.skipped == {"000004": "no face found"}
    crop = align(astronaut(), FaceLandmarker().detect(astronaut())[0].landmarks, size=256)
    assert torch.equal(sample.image[0], photo_to_image(crop.photo)[0])
    expected = polygon_hole(mask_polygon(crop.landmarks), (256, 256))
    assert (sample.mask[0, 0].numpy() > 0).tolist() == expected.tolist()
    assert sample.reference_mask.max() == 0


def test_ffhq_is_its_last_photos(tmp_path: Path) -> None:
    for name in ("59999", "60000", "60001", "69999"):
        write_photo(tmp_path / f"{name}.png", np.zeros((128, 128, 3), np.uint8))
    faces = protocol.papers("ffhq", tmp_path, 2)
    assert isinstance(faces.source, protocol.LowerFaces)
    assert [path.stem for path in faces.source.photos] == ["60000", "69999"]
    assert faces.source.aligned
    with pytest.raises(ValueError, match="0 photos of celeba"):
        protocol.papers("celeba", tmp_path / "nothing", None)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Namespace:
    """The benchmark over drawn pictures and without pretrained networks."""

    class Drawn:
        faces = Namespace(seed=0)
        skipped: ClassVar[dict[str, str]] = {}

        def batches(self) -> object:
            for index in range(4):
                sample = batch()
                yield [f"face-{index}"], sample._replace(image=sample.image * (1 - 0.2 * index))

    monkeypatch.setattr(quality, "held_out", lambda data, limit: protocol.Faces("3 drawings", Drawn()))
    monkeypatch.setattr(quality, "LPIPS", lambda net: _Difference(net))
    monkeypatch.setattr(judging, "LowerFaceFeatures", lambda network: _colour)
    return Namespace()


class _Difference(torch.nn.Module):
    """Stands in for LPIPS: the mean absolute difference."""

    def __init__(self, net: str) -> None:
        super().__init__()
        self.net = net

    def features(self, image: Tensor) -> list[Tensor]:
        return [image]

    def distance(self, first: list[Tensor], second: list[Tensor]) -> Tensor:
        return (first[0] - second[0]).abs().mean((1, 2, 3))


def _colour(image: Tensor) -> Tensor:
    return image.mean((2, 3))


def test_one_command_writes_table_plot_and_pictures(
    quick: Namespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, theirs, output = tmp_path / "model", tmp_path / "theirs", tmp_path / "results" / "quality.json"
    theirs.mkdir()
    save_model(InpaintGenerator(2), model)
    for index in range(4):
        truth = batch().image * (1 - 0.2 * index)
        write_photo(theirs / f"face-{index}.png", image_to_photo(truth))
    command = ["--data", "x", "--model", str(model), "--output", str(output), "--pictures", str(tmp_path / "out")]
    command += ["--prior-images", "2", "--prior-steps", "2", "--results", f"theirs={theirs}"]
    assert quality.main(command) == 0
    results = json.loads(output.read_text("utf-8"), parse_constant=pytest.fail)
    first, few, by_ratio = results["tables"]
    assert list(first["methods"]) == [
        *(
            "ours, without reference",
            "ours, in two passes",
            "ours, coarse only",
            "Telea",
            "Navier-Stokes",
            "biharmonic",
            "theirs",
        ),
    ]
    assert "Fréchet distance (_colour)" in first["methods"]["Telea"]
    assert not any(name.startswith("Fréchet") for name in few["methods"]["Telea"])
    assert list(few["methods"]) == ["ours, without reference", "Telea", "deep image prior"]
    mean, low, high = first["methods"]["theirs"]["PSNR hole"]
    assert 48 < low <= mean <= high  # the truth, but for rounding to 8 bits
    assert first["methods"]["theirs"]["PSNR hole"][0] > first["methods"]["Telea"]["PSNR hole"][0]
    assert list(by_ratio["methods"]) == ["0–10 % of the crop, 4 crops"]
    text = output.with_suffix(".md").read_text("utf-8")
    assert text.strip() == quality_report.markdown(results)
    assert "| DeepGIN | FFHQ | 24.36 | 0.867 | 37.577 | 0.142 |" in text
    assert "| DIP | CelebA | 25.46 | 0.85 | – | – |" in text
    assert "Not comparable" in text
    assert str(tmp_path) not in output.read_text("utf-8")
    assert output.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "out" / "sheet.png").is_file()
    assert (tmp_path / "out" / "theirs.json").is_file()
    assert "do not commit them" in capsys.readouterr().out
    assert "other weights than those that are shipped" in quality_report.page(output, "0" * 64)
    assert "other weights" not in quality_report.page(output, results["model"])


def test_documentation_shows_what_the_file_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("figures", Path(__file__).parents[2] / "docs/_build/figures.py")
    assert spec and spec.loader
    figures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(figures)
    monkeypatch.setattr(figures, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(figures, "FIGURES", tmp_path)
    figures.write_quality("quality")
    assert (tmp_path / "quality.txt").read_text("utf-8") == quality_report.NOT_MEASURED
    manifest = {"versions": {"torch": "2"}, "python": "3", "command": "-m benchmarks.quality"}
    tables = [
        {"title": "all", "methods": {"Telea": {"PSNR hole": [14.5, 14.0, 15.25], "Fréchet": 99.5}}, "notes": ["few"]}
    ]
    results = {"model": "", "data": "0" * 64, "tables": tables, "texts": {}, "manifest": manifest}
    figures.RESULTS.mkdir()
    (figures.RESULTS / "quality.json").write_text(json.dumps(results))
    (figures.RESULTS / "quality.png").write_bytes(b"picture")
    figures.write_quality("quality")
    text = (tmp_path / "quality.txt").read_text("utf-8")
    assert "| Telea | 14.50 (14.00–15.25) | 99.50 |" in text
    assert "other weights than those that are shipped" in text
    assert "(assets/generated/quality.png)" in text
    assert "Table 1 of the paper" in text
    assert (tmp_path / "quality.png").read_bytes() == b"picture"
    figures.write_quality("quality", papers=False)
    assert "Table 1 of the paper" not in (tmp_path / "quality.txt").read_text("utf-8")


def test_results_that_are_the_truth_and_figures_that_nothing_has(tmp_path: Path) -> None:
    rows = {
        "theirs": {"PSNR hole": [math.inf] * 3, "SSIM hole": [math.nan] * 3, "LPIPS alex": [0.0] * 3, "FID": math.nan},
        "Telea": {"PSNR hole": [15.0, 14.0, 16.0], "SSIM hole": [0.5, 0.4, 0.6], "LPIPS alex": [0.1, 0.1, 0.2]},
    }
    manifest = {"versions": {}, "python": "3", "command": ""}
    tables = [{"title": "all", "methods": rows, "notes": []}]
    results = quality.strict({"model": "", "data": "", "tables": tables, "manifest": manifest})
    text = quality_report.markdown(results, papers=False)
    assert "| theirs | inf (inf–inf) | – | 0.000 (0.000–0.000) | – |" in text
    assert "| Telea | 15.00 (14.00–16.00) | 0.500 (0.400–0.600) | 0.100 (0.100–0.200) | – |" in text
    quality_report.plot(results, tmp_path / "quality.png")
    assert (tmp_path / "quality.png").is_file()


def test_page_without_results_says_how_to_get_them(tmp_path: Path) -> None:
    assert "make bench DATA=SET" in quality_report.page(tmp_path / "quality.json")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "either --data SET or --dataset"),
        (["--dataset", "imagenet", "x"], "--dataset must be celeba or ffhq; got imagenet"),
        (["--data", "x", "--results", "folder"], "--results must be NAME=DIR"),
        (["--data", "x", "--output", "quality.md"], "must end in .json; got quality.md"),
        (["--data", "x", "--prior-images", "-1"], "--prior-images must be 0 or more"),
        (["--data", "x", "--prior-steps", "1"], "--prior-steps 2 or more"),
    ],
)
def test_bad_command_lines(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        quality.main(words)
    assert message in capsys.readouterr().err


def test_missing_data_gets_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert quality.main(["--data", str(tmp_path)]) == 2
    assert "Write a training set with prepare.py first" in capsys.readouterr().err


def test_command_is_shown_without_the_machines_folders() -> None:
    command = "-m benchmarks.quality --data /home/me/sets/128 --results a=/x/y/z --output results/q.json"
    assert quality.without_folders(command) == (
        "-m benchmarks.quality --data 128 --results a=z --output results/q.json"
    )
    assert quality.strict({"a": [math.inf, 1.0], "b": math.nan}) == {"a": ["inf", 1.0], "b": "nan"}


def test_other_results_do_not_take_the_name_of_a_method(
    quick: Namespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_model(InpaintGenerator(2), tmp_path / "model")
    command = ["--data", "x", "--model", str(tmp_path / "model"), "--pictures", str(tmp_path / "out")]
    assert quality.main([*command, "--output", str(tmp_path / "q.json"), "--results", f"Telea={tmp_path}"]) == 2
    assert "--results: ['Telea'] are taken" in capsys.readouterr().err


def test_a_place_for_the_pictures_is_made_before_anything_is_measured(
    quick: Namespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("precious")
    save_model(InpaintGenerator(2), tmp_path / "model")
    monkeypatch.setattr(quality, "LPIPS", lambda _: pytest.fail("it began"))
    command = ["--data", "x", "--model", str(tmp_path / "model"), "--output", str(tmp_path / "q.json")]
    assert quality.main([*command, "--pictures", str(tmp_path / "file")]) == 2
    assert str(tmp_path / "file") in capsys.readouterr().err


def test_the_mean_of_a_prior_is_that_of_the_second_half_of_its_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    class Counter(torch.nn.Module):
        """Gives back, everywhere, how often it was asked before."""

        def __init__(self, width: int) -> None:
            super().__init__()
            self.nothing, self.calls = torch.nn.Parameter(torch.zeros(())), -1

        def forward(self, noise: Tensor) -> Tensor:
            self.calls += 1
            return torch.full((1, 3, *noise.shape[2:]), self.calls / 10) + self.nothing

    monkeypatch.setattr(baselines, "_hourglass", Counter)
    monkeypatch.setattr(torch.optim.Adam, "step", lambda self: None)
    for steps, mean in ((4, 0.25), (5, 0.35)):
        result = baselines.deep_image_prior(batch(), steps=steps)
        torch.testing.assert_close(result, torch.full_like(result, mean))
