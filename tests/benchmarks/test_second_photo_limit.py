import itertools
import json
import shutil
from pathlib import Path

import pytest
import torch
from kornia.filters import gaussian_blur2d
from torch import Tensor

from benchmarks import second_photo_limit
from benchmarks.second_photo_limit import Crops, bands, best_mixture, limits, moved_onto_truth
from examples.mask_removal.face_dataset import held_out
from gatedinpaint import InpaintGenerator, save_model
from gatedinpaint.faces import landmarks_from
from tests.benchmarks.test_released_recipe import training_set  # noqa: F401


def texture(seed: int) -> Tensor:
    noise = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(seed))
    return (gaussian_blur2d(noise, (13, 13), (2.0, 2.0)) * 3).clamp(-1, 1)


def crops_with(second: Tensor) -> Crops:
    hole = torch.zeros(2, 1, 64, 64)
    hole[:, :, 16:56, 8:56] = 1
    known = hole.clone()
    known[..., :20] = 0
    truth, alone = texture(0), texture(1)
    second = second * known
    moved = moved_onto_truth(truth, second, known)
    return Crops(truth, hole, second, known, moved, *(alone,) * 6)


def squares(crops: Crops, result: Tensor) -> float:
    return float(((result - crops.truth).square() * crops.hole).sum())


def test_the_bands_add_up_to_the_image_in_the_area() -> None:
    crops = crops_with(texture(2))
    parts = list(bands(crops.truth, crops.known))
    torch.testing.assert_close(sum(parts), crops.truth * crops.known)
    *finer, coarsest = bands(torch.full_like(crops.truth, 0.5), crops.known)
    torch.testing.assert_close(coarsest, 0.5 * crops.known.expand_as(coarsest))
    assert max(float(part.abs().max()) for part in finer) < 1e-6


def test_a_second_photo_that_is_the_truth_leaves_nothing_to_gain_but_where_it_shows_nothing() -> None:
    crops = crops_with(texture(0))
    mixture = best_mixture(crops, crops.second)
    torch.testing.assert_close(mixture * crops.known, crops.truth * crops.known, atol=1e-4, rtol=0)
    assert torch.equal(mixture * (1 - crops.known), crops.alone * (1 - crops.known))


def test_no_other_weight_of_the_photo_is_better() -> None:
    crops = crops_with(0.5 * texture(0) + 0.5 * texture(2))
    best = squares(crops, best_mixture(crops, crops.second))
    for weight in (0.0, 0.3, 0.6, 1.0):
        plain = torch.lerp(crops.alone, crops.second, weight * crops.known)
        assert best < squares(crops, plain)


def test_a_photo_out_of_place_is_moved_onto_the_truth() -> None:
    crops = crops_with(texture(0).roll((2, -1), dims=(2, 3)))
    inside = torch.zeros_like(crops.hole)
    inside[:, :, 24:48, 28:48] = 1
    before, after = ((x - crops.truth)[inside.expand_as(x) > 0].abs().mean() for x in (crops.second, crops.moved))
    assert after < before / 4


def test_gains_are_against_what_is_painted_without_it() -> None:
    crops = crops_with(texture(0))
    halfway = (crops.alone + crops.truth) / 2
    crops = crops._replace(guided=halfway, guided_by_moved=crops.truth)
    table = limits(crops, lambda x, y: (x - y).abs().mean((1, 2, 3)))
    cells = {row.split(" | ")[0].strip("| "): row.strip("| ").split(" | ")[1:] for row in table.splitlines()[2:]}
    # Half of the error is a quarter of its square: 6.02 dB. Outside of the hole there is none.
    distance = float(((crops.alone - crops.truth) * crops.hole).abs().mean())
    assert cells["painted without it"][1:] == ["–", f"{distance:.4f}", "–"]
    assert cells["painted by the network, given it"][1:] == ["+6.02", f"{distance / 2:.4f}", "-50.0 %"]
    assert cells["painted by the network, given it moved onto the truth"][1:] == ["+inf", "0.0000", "-100.0 %"]


def test_command_line(
    training_set: Path,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(second_photo_limit, "LPIPS", lambda net: lambda x, y: (x - y).abs().mean((1, 2, 3)))
    monkeypatch.setattr(second_photo_limit, "FaceLandmarker", lambda: landmarks_from(lambda photo: []))
    save_model(InpaintGenerator(2, reference=True), tmp_path / "model")
    words = ["--model", str(tmp_path / "model"), "--output", str(tmp_path / "table.md"), "--data"]
    assert second_photo_limit.main([*words, str(training_set)]) == 2
    assert "has a second photo" in capsys.readouterr().err
    shutil.copytree(training_set, tmp_path / "set")
    index = tmp_path / "set" / "index.jsonl"
    people = itertools.islice(filter(held_out, map(str, itertools.count())), 2)
    pair = itertools.cycle(people)
    lines = [json.dumps(json.loads(line) | {"identity": next(pair)}) for line in index.read_text().splitlines()]
    index.write_text("\n".join(lines) + "\n")
    assert second_photo_limit.main([*words, str(tmp_path / "set")]) == 0
    printed = capsys.readouterr().out
    assert "6 crops of held-out people with a second photo. Of 6 the landmarks under a face mask are known." in printed
    for seen in ("believed under a face mask", "found on the painted face"):
        assert f"| the same, with landmarks as {seen} | " in printed
    assert (tmp_path / "table.md").read_text(encoding="utf-8") == printed
