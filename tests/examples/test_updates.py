from pathlib import Path

import pytest
import torch

from examples.mask_removal.updates import main, merged, with_updates
from gatedinpaint import InpaintGenerator, load_model, save_model


@pytest.fixture
def two() -> tuple[InpaintGenerator, InpaintGenerator]:
    torch.manual_seed(0)
    return InpaintGenerator(2).eval(), InpaintGenerator(2).eval()


def test_without_a_reference_as_the_one_and_with_it_as_the_other(
    two: tuple[InpaintGenerator, InpaintGenerator],
) -> None:
    plain, guided = two
    image, mask = torch.rand(1, 3, 32, 32) * 2 - 1, torch.ones(1, 1, 32, 32)
    result = with_updates(plain, guided, rank=64)  # more than there are channels: nothing is cut
    assert torch.equal(result(image, mask).refined, plain(image, mask).refined)
    torch.testing.assert_close(result(image, mask, image).refined, guided(image, mask, image).refined)


def test_merged(two: tuple[InpaintGenerator, InpaintGenerator]) -> None:
    image, mask = torch.rand(1, 3, 32, 32) * 2 - 1, torch.ones(1, 1, 32, 32)
    plain, guided = two
    ours = merged(with_updates(plain, guided, rank=64))
    assert ours.config == guided.config and not ours.training
    torch.testing.assert_close(ours(image, mask).refined, guided(image, mask).refined)
    assert torch.equal(merged(plain)(image, mask).refined, plain(image, mask).refined)


def test_what_does_not_belong_together_is_refused(two: tuple[InpaintGenerator, InpaintGenerator]) -> None:
    with pytest.raises(ValueError, match=r"two networks of one kind without updates; got \{'base_channels': 2"):
        with_updates(two[0], InpaintGenerator(4), 2)
    with pytest.raises(ValueError, match="two networks of one kind without updates"):
        with_updates(*(InpaintGenerator(2, reference_rank=2) for _ in two), 2)
    with pytest.raises(ValueError, match="rank must be 1 or more; got 0"):
        with_updates(*two, 0)


def test_command(
    two: tuple[InpaintGenerator, InpaintGenerator], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [tmp_path / name for name in ("plain", "guided", "both")]
    for network, folder in zip(two, folders, strict=False):
        save_model(network, folder)
    command = [*map(str, folders[:2]), "--rank", "2", "--output", str(folders[2])]
    assert main(command) == 0
    assert load_model(folders[2]).config == {"base_channels": 2, "reference": True, "reference_rank": 2}
    assert "weights more for references" in capsys.readouterr().out
    assert main(command) == 2  # nothing is overwritten
    assert main([str(tmp_path / "none"), *command[1:]]) == 2
    assert [line.split(":")[0] for line in capsys.readouterr().err.splitlines()] == ["updates", "updates"]
