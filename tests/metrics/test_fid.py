"""FID's network against pytorch-fid's own, with seeded weights: the true ones cannot be downloaded everywhere."""

import sys
import urllib.error
from pathlib import Path

import pytest
import torch
from pytorch_fid import inception
from torch import nn

from gatedinpaint.metrics import FID, FrechetDistance, InceptionFeatures, fid


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file like pytorch-fid's."""
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = fid._inception()
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(std=0.1)
                module.running_var.uniform_(0.5, 1.5)
    torch.save(network.state_dict(), path)
    return path


def test_features_are_pytorch_fids(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = torch.load(weights, weights_only=True)
    monkeypatch.setattr(inception, "load_state_dict_from_url", lambda url, progress: state)
    theirs = inception.InceptionV3([3]).eval()
    images = torch.rand(2, 3, 70, 90, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = theirs(images)[0].flatten(1)
        features = InceptionFeatures(weights).train()(images * 2 - 1)
    assert expected.std() > 0.01
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)


def test_photos_and_images_of_another_range_have_no_features(weights: Path) -> None:
    features, photo = InceptionFeatures(weights), torch.full((1, 3, 75, 75), 200, dtype=torch.uint8)
    with pytest.raises(TypeError, match="image must be a floating-point tensor; got torch.uint8"):
        features(photo)
    with pytest.raises(ValueError, match=r"image must be in \[-1, 1\]; got values from 200 to 200"):
        features(photo.float())
    with pytest.raises(ValueError, match=r"image must be \(B, 3, H, W\); got \(3, 75, 75\)"):
        features(torch.zeros(3, 75, 75))
    assert features(torch.full((1, 3, 75, 75), 1.2, requires_grad=True)).shape == (1, 2048)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_network_is_made_in_float32_whatever_the_default_is(weights: Path, dtype: torch.dtype) -> None:
    image = torch.rand(1, 3, 70, 90, generator=torch.Generator().manual_seed(0)) * 2 - 1
    expected = InceptionFeatures(weights)(image)
    torch.set_default_dtype(dtype)
    try:
        features = InceptionFeatures(weights)
        assert torch.get_default_dtype() is dtype
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(features(image), expected)


def test_other_weights_are_never_called_fid(weights: Path) -> None:
    with pytest.raises(ValueError, match=r"SHA-256 begins with 6726825d; got others.*FrechetDistance\(Inception"):
        FID(weights)
    distance = FrechetDistance(InceptionFeatures(weights))
    assert distance.name == "Fréchet distance (Inception, other weights)"


def test_the_weights_of_pytorch_fid_are(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fid, "_begins_like_the_original", lambda path: True)
    assert FID(weights).name == "FID"


def test_checksum_is_that_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "abc").write_bytes(b"abc")  # whose SHA-256 is ba7816bf…, FIPS 180-4
    assert not fid._begins_like_the_original(tmp_path / "abc")
    monkeypatch.setattr(fid, "_SHA256_BEGINS", "ba7816bf")
    assert fid._begins_like_the_original(tmp_path / "abc")


def test_weights_from_the_cache_or_an_error_that_names_it(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))

    def offline(*args: object, **options: object) -> None:
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(RuntimeError, match=r"cache \(.*pt_inception-2015-12-05-6726825d.pth\).*no network"):
        FID()
    (tmp_path / "checkpoints" / "pt_inception-2015-12-05-6726825d.pth").write_bytes(weights.read_bytes())
    assert InceptionFeatures().name == "Inception, other weights"  # the name of the file does not make it


def test_wrong_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match="no such file"):
        FID(tmp_path / "missing.pth")
    with pytest.raises(ValueError, match="must be a state dict of pytorch-fid's Inception: Missing key"):
        InceptionFeatures({})
    monkeypatch.setitem(sys.modules, "pytorch_fid.inception", None)
    with pytest.raises(ImportError, match=r'pip install "gatedinpaint\[metrics\]"'):
        InceptionFeatures({})
