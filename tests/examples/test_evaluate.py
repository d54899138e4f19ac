from pathlib import Path
from types import SimpleNamespace

import lpips
import pytest
import torch
import torchvision
from torch import Tensor

from examples.mask_removal import evaluate, face_dataset, second_photo
from examples.mask_removal.data import Batch, FaceDataset
from examples.mask_removal.fills import Fill, telea
from examples.mask_removal.held_out import HeldOut, spread
from examples.mask_removal.lower_face import LowerFaceFeatures
from examples.mask_removal.perceptual_networks import AlexNetFeatures
from examples.mask_removal.shards import DamagedSampleError
from gatedinpaint import InpaintGenerator, InpaintOutput, SNPatchDiscriminator, save_model
from gatedinpaint.metrics import LPIPS, InpaintingReport


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


def test_images_too_small_for_the_pooling_are_refused(alexnet: AlexNetFeatures) -> None:
    assert all(level.numel() for level in alexnet(torch.zeros(1, 3, 31, 40)))
    with pytest.raises(ValueError, match=r"alex needs images of at least 31 pixels; got \(1, 3, 30, 40\). .* --window"):
        alexnet(torch.zeros(1, 3, 30, 40))


def test_distance_has_a_gradient_even_where_images_agree(alexnet: AlexNetFeatures) -> None:
    a, b = images()
    a.requires_grad_()
    alexnet.distance(alexnet(a), alexnet(b)).sum().backward()
    assert a.grad is not None and a.grad.isfinite().all() and a.grad.abs().max() > 0
    same = b.clone().requires_grad_()
    alexnet.distance(alexnet(same), alexnet(b)).sum().backward()
    assert same.grad is not None and same.grad.isfinite().all()
    assert all(not parameter.requires_grad for parameter in alexnet.parameters())


@pytest.fixture
def people(training_set: Path, monkeypatch: pytest.MonkeyPatch) -> HeldOut:
    """All six views of one face as if they were held out: two of each of three persons, seen from 0 to 40 degrees."""
    index = [line for line in face_dataset.read_index(training_set) if "skipped" not in line]
    people = [
        line | {"identity": f"person-{place // 2}", "yaw": yaw}
        for place, (line, yaw) in enumerate(zip(index, (0, 10, 0, -20, 5, 45), strict=True))
    ]
    monkeypatch.setattr(face_dataset, "read_index", lambda root: people)
    monkeypatch.setattr(face_dataset, "held_out", lambda identity: True)
    return HeldOut(training_set)


@pytest.mark.filterwarnings("ignore:6 images for 512 features")
def test_the_truth_itself_scores_best(people: HeldOut, networks: list[LPIPS]) -> None:
    methods: dict[str, Fill] = {
        "truth": lambda batch: batch.image,
        "Telea": telea,
        "black": lambda batch: torch.full_like(batch.image, -1),
    }
    reports = evaluate.measure(people.batches(), methods, networks)
    perfect, filled, black = (
        {name: x.mean for name, x in report.summary().items()} | report.distances for report in reports.values()
    )
    assert perfect["PSNR hole"] == float("inf")
    assert perfect["SSIM hole"] == pytest.approx(1.0)
    distance = "Fréchet distance (VGG16, lower face)"
    assert [perfect[name] for name in ("LPIPS alex", "LPIPS vgg", distance)] == pytest.approx([0, 0, 0], abs=1e-6)
    assert black["PSNR hole"] < filled["PSNR hole"] < 40
    assert black["SSIM hole"] < filled["SSIM hole"] < 1
    assert 0 < filled[distance] < black[distance]


def test_holes_and_references_are_those_of_the_held_out_part(people: HeldOut) -> None:
    batch = people.batch([0, 3])
    samples = [FaceDataset(people.faces.root, validation=True, reference_share=1.0)[index] for index in (0, 3)]
    for tensor, expected in zip(batch, zip(*samples, strict=True), strict=True):
        assert torch.equal(tensor, torch.stack(expected))


def test_pairs_are_of_one_person_and_strangers_are_not(people: HeldOut) -> None:
    pairs = people.pairs()
    assert [pair.position for pair in pairs] == [0, 1, 2, 3, 4, 5]
    assert [pair.own for pair in pairs] == [1, 0, 3, 2, 5, 4]
    assert all(pair.stranger // 2 != pair.position // 2 for pair in pairs)
    assert [pair.yaw_difference for pair in pairs] == [10, 10, 20, 20, 40, 40]
    assert people.pairs() == pairs


def test_guided_shows_the_photo_that_was_asked_for(people: HeldOut) -> None:
    batch = people.batch([0, 1])
    own, other = people.guided(batch, [0, 1], [1, 0]), people.guided(batch, [0, 1], [4, 5])
    for guided in (own, other):
        assert torch.equal(guided.image, batch.image)
        assert torch.equal(guided.mask, batch.mask)
        assert guided.reference_mask.mean() > 0.05
    assert not torch.equal(own.reference, other.reference)


@pytest.mark.filterwarnings("ignore:6 images for 512 features")
def test_pairs_follow_the_reference_that_they_are_given(people: HeldOut, networks: list[LPIPS]) -> None:
    class Copier(torch.nn.Module):
        """Paints nearly what the reference shows, and grey where there is none."""

        def forward(self, image: Tensor, mask: Tensor, reference: Tensor | None = None, *_: Tensor) -> InpaintOutput:
            painted = torch.zeros_like(image) if reference is None else 0.99 * reference
            return InpaintOutput(painted, painted, painted)

    pairs = people.pairs()
    reports, likeness = second_photo.measure_pairs(people, pairs, Copier(), networks)
    alone, own, stranger = likeness.values()
    assert own[0] > max(alone[0], stranger[0], 38)
    assert stranger[1] > max(alone[1], own[1], 38)
    lines = second_photo.pair_table(reports, likeness).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == [
        "| without reference",
        "| second photo of the person",
        "| photo of somebody else",
    ]
    assert len({line.count("|") for line in lines}) == 1
    yaws = {id: pair.yaw_difference for id, pair in zip(people.ids([0, 1, 2, 3, 4, 5]), pairs, strict=True)}
    rows = [line.split(" | ") for line in second_photo.yaw_table(reports, yaws).splitlines()[2:]]
    assert [row[:2] for row in rows] == [["| 0–15°", "2"], ["| 15–30°", "2"], ["| over 30°", "2"]]
    values = [report.summary()["PSNR hole"].mean for report in reports.values()][:2]
    gains = [float(row[4].split()[0]) for row in rows]
    assert sum(gains) / 3 == pytest.approx(values[1] - values[0], abs=0.02)


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
    torch.testing.assert_close(telea(batch)[outside], batch.image[outside], rtol=0, atol=1e-6)


def test_prints_a_row_for_each_method(
    training_set: Path, tmp_path: Path, networks: list[LPIPS], capsys: pytest.CaptureFixture[str]
) -> None:
    save_model(InpaintGenerator(2), tmp_path / "model")
    command = ["--data", str(training_set), "--model", str(tmp_path / "model"), "--output", str(tmp_path / "reports")]
    assert evaluate.main(command) == 0
    report = InpaintingReport.load(tmp_path / "reports" / "without-reference.json")
    assert len(report.rows) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == (
        "| method | PSNR hole | SSIM hole | LPIPS alex | LPIPS vgg | Fréchet distance (VGG16, lower face) |"
    )
    assert [line.split(" | ")[0] for line in lines[4:8]] == [
        "| without reference",
        "| with reference",
        "| coarse only",
        "| Telea",
    ]
    assert lines[0] == "1 of 1 crops of people held out of training, 64 px."


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
    assert [line.split(" | ")[0] for line in lines[4:7]] == ["| without reference", "| coarse only", "| Telea"]


def test_some_methods_only(
    training_set: Path, tmp_path: Path, networks: list[LPIPS], capsys: pytest.CaptureFixture[str]
) -> None:
    save_model(InpaintGenerator(2), tmp_path / "model")
    command = ["--data", str(training_set), "--model", str(tmp_path / "model"), "--methods"]
    assert evaluate.main([*command, "Telea"]) == 0
    assert [line.split(" | ")[0] for line in capsys.readouterr().out.splitlines()[4:5]] == ["| Telea"]
    assert evaluate.main([*command, "magic"]) == 2
    assert "['magic'] unknown; there are ['without reference'" in capsys.readouterr().err


def test_a_place_for_the_reports_is_made_before_anything_is_measured(
    training_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("precious")
    monkeypatch.setattr(evaluate, "LPIPS", lambda _: pytest.fail("it began"))
    assert evaluate.main(["--data", str(training_set), "--output", str(tmp_path / "file")]) == 2
    assert str(tmp_path / "file") in capsys.readouterr().err


@pytest.mark.filterwarnings("default:6 images for 512 features")
def test_a_warning_is_one_line(
    people: HeldOut, tmp_path: Path, networks: list[LPIPS], capsys: pytest.CaptureFixture[str]
) -> None:
    save_model(InpaintGenerator(2), tmp_path / "model")
    command = ["--data", str(people.faces.root), "--model", str(tmp_path / "model"), "--methods", "Telea"]
    assert evaluate.main(command) == 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "512 features" in line]
    assert line.startswith("evaluate: warning: 6 images for 512 features: ")


@pytest.mark.parametrize(("limit", "positions"), [(None, [0, 1, 2, 3, 4, 5]), (3, [0, 2, 5]), (9, [0, 1, 2, 3, 4, 5])])
def test_some_faces_from_all_over_the_set(limit: int | None, positions: list[int]) -> None:
    assert spread(6, limit) == positions


def test_one_face_is_too_few(training_set: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate.main(["--data", str(training_set), "--limit", "1"]) == 2
    assert "--limit must be 2 or more; got 1" in capsys.readouterr().err


def test_a_discriminator_is_no_generator(training_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    save_model(SNPatchDiscriminator(2), tmp_path / "model")
    assert evaluate.main(["--data", str(training_set), "--model", str(tmp_path / "model")]) == 2
    assert capsys.readouterr().err == (
        f"evaluate: {tmp_path / 'model'}: expected an InpaintGenerator; got a SNPatchDiscriminator.\n"
    )


def test_damaged_faces_are_left_out_and_named(people: HeldOut, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [sample["id"] for sample in people.faces.samples]
    load = face_dataset.load_face

    def damaged(root: Path, sample: dict) -> object:
        if sample["id"] in (ids[1], ids[4], ids[5]):
            raise DamagedSampleError(f"{sample['id']}: cannot be decoded.")
        return load(root, sample)

    monkeypatch.setattr(face_dataset, "load_face", damaged)
    left = HeldOut(people.faces.root)
    assert left.damaged == {ids[place]: f"{ids[place]}: cannot be decoded." for place in (1, 4, 5)}
    assert [id for some, _ in left.batches() for id in some] == [ids[0], ids[2], ids[3]]
    pairs = left.pairs()  # the only person with two whole photos
    assert [(pair.position, pair.own) for pair in pairs] == [(2, 3), (3, 2)]
