from pathlib import Path
from types import SimpleNamespace

import lpips
import pytest
import torch
import torchvision
from torch import Tensor

from examples.mask_removal import evaluate
from examples.mask_removal.data import Batch, FaceDataset
from examples.mask_removal.lower_face import LowerFaceFeatures
from examples.mask_removal.perceptual_networks import AlexNetFeatures
from gatedinpaint import InpaintGenerator, SNPatchDiscriminator, save_model
from gatedinpaint.metrics import LPIPS


@pytest.fixture
def alexnet(monkeypatch: pytest.MonkeyPatch) -> AlexNetFeatures:
    """The trunk with random weights: the trained ones cannot be downloaded everywhere."""
    torch.manual_seed(0)
    untrained = torchvision.models.alexnet(weights=None)
    monkeypatch.setattr(lpips.pretrained_networks.tv, "alexnet", lambda pretrained: untrained)
    return AlexNetFeatures()


@pytest.fixture
def networks(alexnet: AlexNetFeatures, monkeypatch: pytest.MonkeyPatch) -> list[LPIPS]:
    """Both forms of LPIPS with random trunks."""
    vgg = torchvision.models.vgg
    layers = SimpleNamespace(features=vgg.make_layers(vgg.cfgs["D"]))
    monkeypatch.setattr(lpips.pretrained_networks.tv, "vgg16", lambda pretrained: layers)
    return [LPIPS("alex"), LPIPS("vgg")]


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


@pytest.mark.filterwarnings("ignore:5 images for 512 features")
def test_the_truth_itself_scores_best(training_set: Path, networks: list[LPIPS]) -> None:
    methods: dict[str, evaluate.Fill] = {
        "truth": lambda batch: batch.image,
        "Telea": evaluate.telea,
        "black": lambda batch: torch.full_like(batch.image, -1),
    }
    faces = FaceDataset(training_set)
    figures = evaluate.measure(faces, range(len(faces)), methods, networks)
    perfect, filled, black = figures.values()
    assert perfect["PSNR in hole"] == float("inf")
    assert perfect["SSIM in hole"] == pytest.approx(1.0)
    assert [perfect[name] for name in ("LPIPS alex", "LPIPS vgg", "Fréchet")] == pytest.approx([0, 0, 0], abs=1e-6)
    assert black["PSNR in hole"] < filled["PSNR in hole"] < 40
    assert black["SSIM in hole"] < filled["SSIM in hole"] < 1
    assert 0 < filled["Fréchet"] < black["Fréchet"]


def test_lower_face_is_the_box_of_the_crop_whatever_its_size(networks: list[LPIPS]) -> None:
    features = LowerFaceFeatures(networks[1])
    image = images()[0].repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    found = features(image)
    assert found.shape == (2, 512)
    torch.testing.assert_close(found, networks[1].features(image[:, :, 40:120, 24:104])[-1].mean((2, 3)))
    outside = image.clone()
    outside[:, :, :40], outside[:, :, 120:], outside[..., :24], outside[..., 104:] = 0, 0, 0, 0
    assert torch.equal(features(outside), found)
    double = image.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    expected = networks[1].features(double[:, :, 80:240, 48:208])[-1].mean((2, 3))
    torch.testing.assert_close(features(double), expected)
    with pytest.raises(ValueError, match=r'must be LPIPS\("vgg"\); got net="alex"'):
        LowerFaceFeatures(networks[0])


def test_telea_leaves_the_image_outside_the_hole(training_set: Path) -> None:
    sample = FaceDataset(training_set)[0]
    batch = Batch(*(x[None] for x in sample))
    outside = (batch.mask == 0).expand_as(batch.image)
    torch.testing.assert_close(evaluate.telea(batch)[outside], batch.image[outside], rtol=0, atol=1e-6)


def test_prints_a_row_for_each_method(
    training_set: Path, tmp_path: Path, networks: list[LPIPS], capsys: pytest.CaptureFixture[str]
) -> None:
    save_model(InpaintGenerator(2), tmp_path / "model")
    assert evaluate.main(["--data", str(training_set), "--model", str(tmp_path / "model")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| method | PSNR in hole | SSIM in hole | LPIPS alex | LPIPS vgg | Fréchet |"
    assert [line.split(" | ")[0] for line in lines[2:6]] == [
        "| without reference",
        "| with reference",
        "| coarse only",
        "| Telea",
    ]
    assert lines[-2] == "1 of 1 crops of people held out of training, 64 px, means."


def test_missing_data_or_model_gets_one_line(
    training_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate.main(["--data", str(tmp_path)]) == 2
    assert "Write a training set with prepare.py first" in capsys.readouterr().err
    assert evaluate.main(["--data", str(training_set), "--model", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_generator_without_reference_has_no_such_row(
    training_set: Path, tmp_path: Path, networks: list[LPIPS], capsys: pytest.CaptureFixture[str]
) -> None:
    save_model(InpaintGenerator(2, reference=False), tmp_path / "model")
    assert evaluate.main(["--data", str(training_set), "--model", str(tmp_path / "model")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[0] for line in lines[2:5]] == ["| without reference", "| coarse only", "| Telea"]


def test_some_methods_only(
    training_set: Path, tmp_path: Path, networks: list[LPIPS], capsys: pytest.CaptureFixture[str]
) -> None:
    save_model(InpaintGenerator(2), tmp_path / "model")
    command = ["--data", str(training_set), "--model", str(tmp_path / "model"), "--methods"]
    assert evaluate.main([*command, "Telea"]) == 0
    assert [line.split(" | ")[0] for line in capsys.readouterr().out.splitlines()[2:3]] == ["| Telea"]
    assert evaluate.main([*command, "magic"]) == 2
    assert "['magic'] unknown; there are ['without reference'" in capsys.readouterr().err


@pytest.mark.parametrize(("limit", "positions"), [(None, [0, 1, 2, 3, 4, 5]), (3, [0, 2, 5]), (9, [0, 1, 2, 3, 4, 5])])
def test_some_faces_from_all_over_the_set(limit: int | None, positions: list[int]) -> None:
    assert evaluate.spread(6, limit) == positions


def test_one_face_is_too_few(training_set: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate.main(["--data", str(training_set), "--limit", "1"]) == 2
    assert "--limit must be 2 or more; got 1" in capsys.readouterr().err


def test_a_discriminator_is_no_generator(training_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    save_model(SNPatchDiscriminator(2), tmp_path / "model")
    assert evaluate.main(["--data", str(training_set), "--model", str(tmp_path / "model")]) == 2
    assert capsys.readouterr().err == (
        f"evaluate: {tmp_path / 'model'}: expected an InpaintGenerator; got a SNPatchDiscriminator.\n"
    )
