"""Networks to share: folders, the Hub's cache laid out by hand, and refusals. No server is asked."""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from gatedinpaint import DeepFillV2Generator, InpaintGenerator, SNPatchDiscriminator, load_model, optimize_for_inference

NETWORKS = [
    lambda: InpaintGenerator(2, reference=False),
    lambda: DeepFillV2Generator(4),
    lambda: SNPatchDiscriminator(2),
]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def equal(ours: nn.Module, theirs: nn.Module) -> bool:
    mine, yours = ours.state_dict(), theirs.state_dict()
    return mine.keys() == yours.keys() and all(torch.equal(mine[key], yours[key]) for key in mine)


@pytest.mark.parametrize("build", NETWORKS)
def test_a_folder_round_trips(build: object, tmp_path: Path) -> None:
    network = build()
    network.save_pretrained(tmp_path / "new" / "model")
    assert sorted(path.name for path in (tmp_path / "new" / "model").iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    for loaded in (type(network).from_pretrained(tmp_path / "new" / "model"), load_model(tmp_path / "new" / "model")):
        assert type(loaded) is type(network) and not loaded.training
        assert equal(network.eval(), loaded)


def test_the_card_tells_what_it_is(tmp_path: Path) -> None:
    InpaintGenerator(2).save_pretrained(
        tmp_path, dtype=torch.float16, license="cc-by-nc-4.0", about="Trained on *drawings*."
    )
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    front = card.split("---")[1].splitlines()
    assert "license: cc-by-nc-4.0" in front and "library_name: gatedinpaint" in front
    assert "`InpaintGenerator(base_channels=2, reference=True)`" in card and "269,552 parameters" in card
    assert "stored as float16" in card and "Trained on *drawings*." in card and "invented" in card
    with pytest.raises(ValueError, match="license must be a name"):
        InpaintGenerator(2).save_pretrained(tmp_path, license="mine: all", overwrite=True)


def test_the_call_on_the_card_builds_the_network(tmp_path: Path) -> None:
    InpaintGenerator(2, reference=False, coarse="unet", skips="all").save_pretrained(tmp_path)
    call = (tmp_path / "README.md").read_text(encoding="utf-8").split("`")[1]
    again = eval(call, {"InpaintGenerator": InpaintGenerator})
    assert again.config == {"base_channels": 2, "reference": False, "coarse": "unet", "skips": "all"}


def test_a_card_of_ones_own_stays_and_a_generated_one_is_renewed(tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    InpaintGenerator(2).save_pretrained(tmp_path)
    SNPatchDiscriminator(2).save_pretrained(tmp_path, overwrite=True)
    assert "# SNPatchDiscriminator" in card.read_text(encoding="utf-8")
    card.write_text("# My model", encoding="utf-8")
    InpaintGenerator(2).save_pretrained(tmp_path, overwrite=True)
    assert card.read_text(encoding="utf-8") == "# My model"


def test_what_cannot_be_saved_leaves_no_card(tmp_path: Path) -> None:
    InpaintGenerator(2).save_pretrained(tmp_path)
    with pytest.raises(FileExistsError, match="Pass overwrite=True"):
        InpaintGenerator(2).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="not a copy by optimize_for_inference"):
        optimize_for_inference(SNPatchDiscriminator(2)).save_pretrained(tmp_path / "fast")
    assert not (tmp_path / "fast").exists()


def test_strict(tmp_path: Path) -> None:
    InpaintGenerator(2).save_pretrained(tmp_path)
    with pytest.raises(
        ValueError, match=r"holds a InpaintGenerator, not a SNPatchDiscriminator. Call InpaintGenerator"
    ):
        SNPatchDiscriminator.from_pretrained(tmp_path)
    InpaintGenerator(2, reference=False).save_pretrained(tmp_path / "other")
    (tmp_path / "model.safetensors").write_bytes((tmp_path / "other" / "model.safetensors").read_bytes())
    with pytest.raises(ValueError, match="weights do not fit InpaintGenerator"):
        InpaintGenerator.from_pretrained(tmp_path)
    with pytest.raises(ValueError, match="device must name a device"):
        InpaintGenerator.from_pretrained(tmp_path / "other", device="nowhere")
    with pytest.raises(ValueError, match="revision is of a repository"):
        InpaintGenerator.from_pretrained(tmp_path / "other", revision="main")


def test_a_repository_from_the_cache(tmp_path: Path) -> None:
    network = InpaintGenerator(2)
    place = tmp_path / "models--owner--name"
    network.save_pretrained(place / "snapshots" / COMMIT)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(COMMIT)
    for revision in (None, "main", COMMIT):
        loaded = InpaintGenerator.from_pretrained(
            "owner/name", revision=revision, cache_dir=tmp_path, local_files_only=True
        )
        assert equal(network.eval(), loaded)
    with pytest.raises(FileNotFoundError, match="owner/other: no such folder here, and not to be had from the Hub"):
        InpaintGenerator.from_pretrained("owner/other", cache_dir=tmp_path, local_files_only=True)
    (place / "snapshots" / COMMIT / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"config.json: no such file"):
        InpaintGenerator.from_pretrained("owner/name", cache_dir=tmp_path, local_files_only=True)


def test_no_server_is_asked_for_what_is_no_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for path in ("runs/some/generator", "generator", "/no/such/folder"):
        with pytest.raises(
            FileNotFoundError, match=f'{path}: no such folder. For a repository on the Hub pass "owner/name"'
        ):
            InpaintGenerator.from_pretrained(path)
    with pytest.raises(ImportError, match=r'huggingface_hub is needed here .* pip install "gatedinpaint\[hub\]"'):
        InpaintGenerator.from_pretrained("owner/name")
