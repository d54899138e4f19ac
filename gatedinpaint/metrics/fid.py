"""Fréchet inception distance."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gatedinpaint._autocast import without_autocast
from gatedinpaint._checks import check_image, has_values
from gatedinpaint._optional import require
from gatedinpaint._weights_file import read_weights
from gatedinpaint.metrics._extractors import made_in_float32
from gatedinpaint.metrics._inputs import check_range
from gatedinpaint.metrics.frechet import FrechetDistance

_FILE = "pt_inception-2015-12-05-6726825d.pth"
_URL = f"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/{_FILE}"
_SHA256_BEGINS = "6726825d"
_SIDE = 299


class InceptionFeatures(nn.Module):
    """The 2,048 features over which FID is defined: images (B, 3, H, W) in [−1, 1] → (B, 2048).

    pytorch-fid's form of Inception-v3, in evaluation mode: images are resized to 299 × 299 (bilinear, no
    antialiasing), and the maps of the last block are averaged over their pixels.

    Args:
        weights: path of a state dict, of which nothing is executed, or the state dict itself. ``None`` takes
            pytorch-fid's from torch's cache, or downloads them. With any but these the network is called "Inception,
            other weights".

    Raises:
        ImportError: without ``pytorch-fid`` and ``torchvision``: ``pip install "gatedinpaint[metrics]"``.
        FileNotFoundError: ``weights`` is the path of no file.
        TypeError: an image that is not a floating-point tensor.
        RuntimeError: ``weights=None``, and they came neither from the cache nor by download.
        ValueError: a damaged file, or the state dict of another network; in the forward pass images that are not
            (B, 3, H, W), or lie outside [−1, 1]. As in :class:`LPIPS`, one that needs a gradient may overshoot.

    Reference:
        Seitzer, "pytorch-fid", 2020, whose weights are those of Heusel et al. 2017.

    Example:
        >>> InceptionFeatures("pt_inception-2015-12-05-6726825d.pth")(torch.zeros(1, 3, 64, 64))  # doctest: +SKIP
    """

    def __init__(self, weights: str | os.PathLike[str] | Mapping[str, Tensor] | None = None) -> None:
        super().__init__()
        if weights is None:
            weights = _cached()
        is_original = not isinstance(weights, Mapping) and _begins_like_the_original(Path(weights))
        self.name = "Inception" if is_original else "Inception, other weights"
        self.distance_name = "FID" if is_original else None
        state = weights if isinstance(weights, Mapping) else read_weights(weights)
        with made_in_float32():
            self.network = _inception()
        try:
            self.network.load_state_dict(state)
        except RuntimeError as error:
            reason = str(error).splitlines()[1].strip()
            raise ValueError(f"weights must be a state dict of pytorch-fid's Inception: {reason}") from error
        self.requires_grad_(False)
        self.eval()

    def forward(self, image: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [−1, 1] → (B, 2048) float32."""
        check_image(image)
        if not image.requires_grad and has_values(image):
            check_range(image, -1.0, 1.0, name="image")
        net: Any = self.network
        with without_autocast(image):
            # To [0, 1] and back, as pytorch-fid does it: the rounding is then the same.
            x = F.interpolate((image.float() + 1) / 2, (_SIDE, _SIDE), mode="bilinear", align_corners=False) * 2 - 1
            x = net.Conv2d_2b_3x3(net.Conv2d_2a_3x3(net.Conv2d_1a_3x3(x)))
            x = net.Conv2d_4a_3x3(net.Conv2d_3b_1x1(F.max_pool2d(x, 3, 2)))
            x = net.Mixed_5d(net.Mixed_5c(net.Mixed_5b(F.max_pool2d(x, 3, 2))))
            x = net.Mixed_6e(net.Mixed_6d(net.Mixed_6c(net.Mixed_6b(net.Mixed_6a(x)))))
            x = net.Mixed_7c(net.Mixed_7b(net.Mixed_7a(x)))
            features: Tensor = x.mean(dim=(2, 3))
        return features

    def train(self, mode: bool = True) -> "InceptionFeatures":
        """Stay in evaluation mode, whatever ``mode`` says: the network is a measure, not a thing to train."""
        return super().train(False)


class FID(FrechetDistance):
    """Fréchet inception distance: :class:`FrechetDistance` over pytorch-fid's Inception, and nothing else.

    Args:
        weights: path of pytorch-fid's weights ``pt_inception-2015-12-05-6726825d.pth``; by default from torch's cache,
            or downloaded.

    Raises:
        ImportError, FileNotFoundError, RuntimeError: as :class:`InceptionFeatures`.
        ValueError: other weights, recognised by their checksum: a number from them is no FID. It may be measured as
            ``FrechetDistance(InceptionFeatures(path))``, and is then named so.

    Reference:
        Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium", NeurIPS
        2017.

    Example:
        >>> fid = FID()  # doctest: +SKIP
        >>> fid.update(photos, real=True).update(results, real=False).compute()  # doctest: +SKIP
    """

    def __init__(self, weights: str | os.PathLike[str] | None = None) -> None:
        path = _cached() if weights is None else Path(weights)
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file. Expected pytorch-fid's {_FILE}.")
        if not _begins_like_the_original(path):
            raise ValueError(
                f"{path}: expected pytorch-fid's weights, whose SHA-256 begins with {_SHA256_BEGINS}; got others. A "
                "number from them is no FID: measure FrechetDistance(InceptionFeatures(path)) instead."
            )
        super().__init__(InceptionFeatures(path))


def _inception() -> nn.Module:
    """Inception-v3 with the blocks that differ from torchvision's in the original."""
    blocks = require("pytorch_fid.inception", "metrics")
    models = require("torchvision.models", "metrics")
    network: nn.Module = models.inception_v3(num_classes=1008, aux_logits=False, weights=None, init_weights=False)
    network.Mixed_5b = blocks.FIDInceptionA(192, pool_features=32)
    network.Mixed_5c = blocks.FIDInceptionA(256, pool_features=64)
    network.Mixed_5d = blocks.FIDInceptionA(288, pool_features=64)
    for name, width in (("Mixed_6b", 128), ("Mixed_6c", 160), ("Mixed_6d", 160), ("Mixed_6e", 192)):
        setattr(network, name, blocks.FIDInceptionC(768, channels_7x7=width))
    network.Mixed_7b = blocks.FIDInceptionE_1(1280)
    network.Mixed_7c = blocks.FIDInceptionE_2(2048)
    return network


def _cached() -> Path:
    path = Path(torch.hub.get_dir()) / "checkpoints" / _FILE
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(_URL, str(path), hash_prefix=_SHA256_BEGINS, progress=False)
        except (OSError, RuntimeError) as error:
            raise RuntimeError(
                f"pytorch-fid's weights came neither from the cache ({path}) nor by download: {error}. Put the file "
                f"there, or pass its path; its address is {_URL}."
            ) from error
    return path


def _begins_like_the_original(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest().startswith(_SHA256_BEGINS)
