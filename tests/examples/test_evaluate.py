from pathlib import Path

import lpips
import pytest
import torch
import torchvision
from torch import Tensor

from examples.mask_removal import evaluate
from examples.mask_removal.data import Batch, FaceDataset
from examples.mask_removal.perceptual_networks import AlexNetFeatures
from gatedinpaint import InpaintGenerator, SNPatchDiscriminator, save_model


@pytest.fixture
def alexnet(monkeypatch: pytest.MonkeyPatch) -> AlexNetFeatures:
    """The trunk with random weights: the trained ones cannot be downloaded everywhere."""
    torch.manual_seed(0)
    untrained = torchvision.models.alexnet(weights=None)
    monkeypatch.setattr(lpips.pretrained_networks.tv, "alexnet", lambda pretrained: untrained)
    features = AlexNetFeatures()
    monkeypatch.setattr(evaluate, "AlexNetFeatures", lambda: features)
    return features


def images() -> tuple[Tensor, Tensor]:
    first, second = (torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(seed)) * 2 - 1 for seed in (0, 1))
    return first, second


def test_distance_is_that_of_the_lpips_package(alexnet: AlexNetFeatures) -> None:
    a, b = images()
    torch.testing.assert_close(alexnet.distance(alexnet(a), alexnet(b)), alexnet.lpips(a, b).flatten())


def test_distance_has_a_gradient_even_where_images_agree(alexnet: AlexNetFeatures) -> None:
    a, b = images()
    a.requires_grad_()
    alexnet.distance(alexnet(a), alexnet(b)).sum().backward()
    assert a.grad is not None and a.grad.isfinite().all() and a.grad.abs().max() > 0
    same = b.clone().requires_grad_()
    alexnet.distance(alexnet(same), alexnet(b)).sum().backward()
    assert same.grad is not None and same.grad.isfinite().all()
    assert all(not parameter.requires_grad for parameter in alexnet.parameters())


def test_the_truth_itself_scores_best(training_set: Path, alexnet: AlexNetFeatures) -> None:
    dataset = FaceDataset(training_set, validation=True)
    perfect = evaluate.measure(dataset, lambda batch: batch.image, alexnet)
    assert perfect["PSNR in hole"] == float("inf")
    assert (perfect["SSIM in hole"], perfect["LPIPS"]) == (pytest.approx(1.0), pytest.approx(0.0, abs=1e-6))
    filled = evaluate.measure(dataset, evaluate.telea, alexnet)
    black = evaluate.measure(dataset, lambda batch: torch.full_like(batch.image, -1), alexnet)
    assert black["PSNR in hole"] < filled["PSNR in hole"] < 40
    assert black["SSIM in hole"] < filled["SSIM in hole"] < 1


def test_telea_leaves_the_image_outside_the_hole(training_set: Path) -> None:
    sample = FaceDataset(training_set)[0]
    batch = Batch(*(x[None] for x in sample))
    outside = (batch.mask == 0).expand_as(batch.image)
    torch.testing.assert_close(evaluate.telea(batch)[outside], batch.image[outside], rtol=0, atol=1e-6)


def test_prints_a_row_for_each_method(
    training_set: Path, tmp_path: Path, alexnet: AlexNetFeatures, capsys: pytest.CaptureFixture[str]
) -> None:
    save_model(InpaintGenerator(2), tmp_path / "model")
    assert evaluate.main(["--data", str(training_set), "--model", str(tmp_path / "model")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| method | PSNR in hole | SSIM in hole | LPIPS |"
    assert [line.split(" | ")[0] for line in lines[2:5]] == ["| without reference", "| with reference", "| Telea"]
    assert lines[-1] == "1 crops of people held out of training, 64 px, means."


def test_missing_data_or_model_gets_one_line(
    training_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate.main(["--data", str(tmp_path)]) == 2
    assert "Write a training set with prepare.py first" in capsys.readouterr().err
    assert evaluate.main(["--data", str(training_set), "--model", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_generator_without_reference_has_no_such_row(
    training_set: Path, tmp_path: Path, alexnet: AlexNetFeatures, capsys: pytest.CaptureFixture[str]
) -> None:
    save_model(InpaintGenerator(2, reference=False), tmp_path / "model")
    assert evaluate.main(["--data", str(training_set), "--model", str(tmp_path / "model")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[0] for line in lines[2:4]] == ["| without reference", "| Telea"]


def test_a_discriminator_is_no_generator(training_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    save_model(SNPatchDiscriminator(2), tmp_path / "model")
    assert evaluate.main(["--data", str(training_set), "--model", str(tmp_path / "model")]) == 2
    assert capsys.readouterr().err == (
        f"evaluate: {tmp_path / 'model'}: expected an InpaintGenerator; got a SNPatchDiscriminator.\n"
    )
