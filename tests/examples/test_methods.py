"""What evaluation gives each method to see, and what it makes of the result."""

import pytest
import torch
from torch import Tensor, nn
from tqdm import tqdm

from examples.mask_removal import evaluate
from examples.mask_removal.data import Batch
from examples.mask_removal.fills import fills_of, telea
from examples.mask_removal.held_out import HeldOut
from examples.mask_removal.judging import judged
from examples.mask_removal.reference import reference_channels
from examples.mask_removal.second_photo import ALONE, OWN, _likeness, yaw_table
from examples.mask_removal.stored_face import Face
from gatedinpaint import InpaintOutput, photo_to_image
from gatedinpaint.metrics import InpaintingReport
from tests.examples.test_evaluate import people  # noqa: F401


class Told(nn.Module):
    """Paints how many tensors it was given, in tenths: below 0 in the first stage, above in the second."""

    def __init__(self, reference: bool = True) -> None:
        super().__init__()
        self.config, self.reference = {"reference": reference}, reference
        self.weight = nn.Parameter(torch.zeros(()))
        self.given: list[tuple[int, int]] = []

    def forward(self, *inputs: Tensor) -> InpaintOutput:
        self.given.append((len(inputs), inputs[0].shape[-1]))
        mark = torch.full_like(inputs[0], len(inputs) / 10)
        return InpaintOutput(-mark, mark, mark)


def batch(side: int = 32) -> Batch:
    image = torch.linspace(-0.9, 0.9, 3 * side * side).view(1, 3, side, side)
    mask = torch.zeros(1, 1, side, side)
    mask[..., side // 4 : side // 2, side // 4 : side // 2] = 1
    return Batch(image, mask, image, mask)


def test_every_method_is_given_what_its_name_says() -> None:
    painted = {name: float(fill(batch()).mean()) for name, fill in fills_of(Told()).items()}
    assert painted == pytest.approx({"without reference": 0.2, "with reference": 0.4, "coarse only": -0.2})
    assert list(fills_of(Told(reference=False), 256)) == ["without reference", "coarse only"]


def test_in_two_passes_the_first_is_small_and_the_second_has_it_as_its_reference() -> None:
    generator = Told()
    fills_of(generator, 160)["in two passes"](batch(160))
    assert generator.given == [(2, 128), (4, 160)]


def test_a_result_counts_in_the_hole_and_within_the_range() -> None:
    sample = batch()
    result = judged(torch.full_like(sample.image, 3.0), sample)
    torch.testing.assert_close(result, torch.where(sample.mask > 0, torch.ones(()), sample.image), rtol=0, atol=0)


def test_likeness_is_of_what_the_reference_shows_of_the_hole() -> None:
    image, mask, known = torch.zeros(2, 3, 4, 4), torch.zeros(2, 1, 4, 4), torch.zeros(2, 1, 4, 4)
    mask[..., :2, :], known[0, :, :, :2] = 1, 1
    result = torch.full_like(image, 0.9)
    result[0, :, :2, :2] = 0.2  # 10 · log10(2² / 0.2²)
    found = _likeness(result, Batch(image, mask, image, known))
    assert found[0] == pytest.approx(20.0)
    assert found[1] != found[1]  # nothing is shown


def test_a_yaw_on_the_edge_counts_once() -> None:
    rows = [{"id": id, "hole_ratio": 0.2, "PSNR hole": 20.0, "LPIPS alex": 0.1, "LPIPS vgg": 0.1} for id in "abc"]
    reports = {name: InpaintingReport(name, {}, rows, {}, {}) for name in (ALONE, OWN)}
    lines = yaw_table(reports, {"a": 0.0, "b": 15.0, "c": 30.0}).splitlines()[2:]
    assert [line.split(" | ")[:2] for line in lines] == [["| 0–15°", "1"], ["| 15–30°", "1"], ["| over 30°", "1"]]


def test_a_second_photo_is_prepared_without_a_look_at_the_truth(
    people: HeldOut,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sample = people.batch([0])
    expected = people.guided(sample, [0], [1])
    hole, load = sample.mask[0, 0].numpy() > 0.5, people.faces.load

    def changed(position: int) -> Face:
        face = load(position)
        photo = face.photo.copy()
        photo[hole] = 255 - photo[hole] if position == 0 else photo[hole]
        return face._replace(photo=photo)

    monkeypatch.setattr(people.faces, "load", changed)
    found = people.guided(sample, [0], [1])
    assert torch.equal(found.reference, expected.reference)
    assert torch.equal(found.reference_mask, expected.reference_mask)


def test_a_second_photo_may_be_warped_as_under_a_face_mask(
    people: HeldOut,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sample, load = people.batch([0]), people.faces.load
    face, second, hole = load(0), load(1), sample.mask[0, 0].numpy() > 0.5
    believed = face.landmarks + [0, 2]
    monkeypatch.setattr(people.faces, "load", lambda position: load(position)._replace(believed=believed))
    assert (people.believed([0])[0] == believed).all()
    for landmarks, wanted in ((None, face.landmarks), (people.believed([0]), believed)):
        guided = people.guided(sample, [0], [1], landmarks=landmarks)
        warped, known = reference_channels(second.photo, second.landmarks, face.photo, wanted, hole)
        assert torch.equal(guided.reference, photo_to_image(warped))
        assert guided.reference_mask[0, 0].bool().tolist() == known.tolist()


def test_it_is_said_how_many_faces_are_left(
    people: HeldOut,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[tuple[int | None, int]] = []

    class Bar(tqdm):
        def update(self, n: int = 1) -> None:
            seen.append((self.total, n))

    monkeypatch.setattr(evaluate, "tqdm", Bar)
    evaluate.measure(people.batches(), {"Telea": telea}, [], distances=False, count=len(people.positions))
    assert seen == [(6, 6)]
