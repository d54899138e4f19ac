from pathlib import Path

import pytest
import torch

from examples.mask_removal.average import averaged, main
from gatedinpaint import InpaintGenerator, load_model, save_model


@pytest.fixture
def two() -> tuple[InpaintGenerator, InpaintGenerator]:
    torch.manual_seed(0)
    return InpaintGenerator(2), InpaintGenerator(2)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_every_weight_is_the_mean(share: float, two: tuple[InpaintGenerator, InpaintGenerator]) -> None:
    first, second = two
    before = [{name: weight.clone() for name, weight in network.state_dict().items()} for network in two]
    mean = averaged(first, second, share).state_dict()
    assert mean.keys() == before[0].keys()
    for name, weight in mean.items():
        torch.testing.assert_close(weight, (1 - share) * before[0][name] + share * before[1][name])
    for network, kept in zip(two, before, strict=True):
        assert all(torch.equal(weight, kept[name]) for name, weight in network.state_dict().items())


def test_other_networks_and_shares_are_refused(two: tuple[InpaintGenerator, InpaintGenerator]) -> None:
    with pytest.raises(ValueError, match=r"two networks of one kind; got \{'base_channels': 2.*'base_channels': 4"):
        averaged(two[0], InpaintGenerator(4))
    for share in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match=r"share must be in 0…1; got"):
            averaged(*two, share)


def test_command(
    two: tuple[InpaintGenerator, InpaintGenerator], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [tmp_path / name for name in ("first", "second", "mean")]
    for network, folder in zip(two, folders, strict=False):
        save_model(network, folder)
    command = [*map(str, folders[:2]), "--share", "0.75", "--output", str(folders[2])]
    assert main(command) == 0
    written, expected = load_model(folders[2]).state_dict(), averaged(*two, 0.75).state_dict()
    assert all(torch.equal(written[name], weight) for name, weight in expected.items())
    assert main(command) == 2  # nothing is overwritten
    assert main([str(tmp_path / "none"), *command[1:]]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("average: ") and "mean" in first
    assert second.startswith("average: ") and "none" in second
