"""Networks under the names that the Hugging Face Hub gave the matter: ``save_pretrained`` and ``from_pretrained``."""

import os
import re
from pathlib import Path
from typing import Any, Self

import torch
from torch import nn

from gatedinpaint._optional import require

_WEIGHTS_FILE, _CONFIG_FILE, _CARD_FILE = "model.safetensors", "config.json", "README.md"
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
_LICENSE = re.compile(r"[\w.-]+")
_MARK = "<!-- Written by gatedinpaint's save_pretrained; replaced by it as long as this line stands here. -->"


class Pretrained(nn.Module):
    """What a network needs to be shared; a base of those that :func:`save_model` knows."""

    def save_pretrained(
        self,
        folder: str | os.PathLike[str],
        *,
        dtype: torch.dtype | None = None,
        license: str | None = None,
        about: str = "",
        overwrite: bool = False,
    ) -> None:
        """Save the network as :func:`save_model` does, and a model card beside it; ``hf upload`` takes the folder.

        A ``README.md`` that somebody wrote, or changed without its mark, is kept.

        Args:
            folder: created when absent.
            dtype: store floating-point weights in this type; ``torch.float16`` halves the file.
            license: of the weights, as the Hub spells it, for example ``"apache-2.0"``; it depends on what they were
                trained on.
            about: what the card is to say of training, data and limits, in Markdown.
            overwrite: replace a model that is there.

        Raises:
            FileExistsError, TypeError, ValueError: as of :func:`save_model`; a license that is no name.

        Example:
            >>> from gatedinpaint import InpaintGenerator
            >>> folder = getfixture("tmp_path") / "generator"
            >>> InpaintGenerator(2).save_pretrained(folder, about="Never trained.")
            >>> sorted(path.name for path in folder.iterdir())
            ['README.md', 'config.json', 'model.safetensors']
        """
        from gatedinpaint.models.io import save_model  # it knows the networks, whose base this is

        if license is not None and not _LICENSE.fullmatch(license):
            raise ValueError(f"license must be a name such as 'apache-2.0'; got {license!r}. Say more in about.")
        save_model(self, folder, dtype=dtype, overwrite=overwrite)  # type: ignore[arg-type]
        card = Path(folder) / _CARD_FILE
        if not card.exists() or _MARK in card.read_text(encoding="utf-8", errors="replace"):
            part = card.with_name(f".{_CARD_FILE}.part")
            part.write_text(_card(self, dtype=dtype, license=license, about=about), encoding="utf-8")
            part.replace(card)

    @classmethod
    def from_pretrained(
        cls,
        source: str | os.PathLike[str],
        *,
        revision: str | None = None,
        device: torch.device | str = "cpu",
        cache_dir: str | os.PathLike[str] | None = None,
        local_files_only: bool = False,
    ) -> Self:
        """Load a network from a folder or from the Hugging Face Hub, strictly, in eval mode.

        Only ``config.json`` and ``model.safetensors`` are fetched, neither of which can run code.

        Args:
            source: a folder written by :meth:`save_pretrained` or :func:`save_model`; or, where there is no such
                folder, a repository ``"owner/name"``, which needs the extra ``hub``.
            revision: branch, tag or commit of the repository. A commit makes sure that the weights never change.
            device: where the network goes.
            cache_dir: where downloads are kept; by default where ``huggingface_hub`` keeps them.
            local_files_only: take the repository from the cache, and ask no server.

        Raises:
            FileNotFoundError: neither a folder nor a repository with these files, or none that can be reached.
            ValueError: another network, a damaged file, weights that do not fit, no such device.
            ImportError: a repository without the extra ``hub``.

        Example:
            >>> from gatedinpaint import InpaintGenerator
            >>> folder = getfixture("tmp_path") / "generator"
            >>> InpaintGenerator(2).save_pretrained(folder)
            >>> InpaintGenerator.from_pretrained(folder).config
            {'base_channels': 2, 'reference': True}
        """
        from gatedinpaint.models.io import load_model

        folder = Path(source)
        if not folder.is_dir():
            where = {"revision": revision, "cache_dir": cache_dir, "local_files_only": local_files_only}
            folder = _downloaded(str(source), **where)
        elif revision is not None:
            raise ValueError(f"revision is of a repository; {source} is a folder. Leave revision out.")
        model = load_model(folder, device=device)
        if not isinstance(model, cls):
            name = type(model).__name__
            raise ValueError(f"{source} holds a {name}, not a {cls.__name__}. Call {name}.from_pretrained.")
        return model


def _downloaded(repository: str, **where: Any) -> Path:
    """The folder of a repository's two files, both of one commit, in the cache."""
    if not _REPOSITORY.fullmatch(repository):
        raise FileNotFoundError(f'{repository}: no such folder. For a repository on the Hub pass "owner/name".')
    hub = require("huggingface_hub", "hub")
    try:
        return Path(hub.snapshot_download(repository, allow_patterns=[_CONFIG_FILE, _WEIGHTS_FILE], **where))
    except (OSError, ValueError) as error:  # the library's own errors are of these two kinds
        reason = " ".join(str(error).split())
        raise FileNotFoundError(
            f"{repository}: no such folder here, and not to be had from the Hub: {reason}"
        ) from error


def _card(model: nn.Module, *, dtype: torch.dtype | None, license: str | None, about: str) -> str:
    name, config = type(model).__name__, dict(model.config)  # type: ignore[arg-type]
    arguments = ", ".join(f"{key}={value!r}" for key, value in config.items())
    parameters = list(model.parameters())
    stored = str(dtype or parameters[0].dtype).removeprefix("torch.")
    front = ["library_name: gatedinpaint", *([f"license: {license}"] if license else [])]
    front += ["tags:", "- inpainting", "- image-to-image", "- pytorch"]
    return "\n".join(
        [
            *("---", *front, "---", "", _MARK, ""),
            f"# {name}",
            "",
            f"`{name}({arguments})` of gatedinpaint: "
            f"{sum(parameter.numel() for parameter in parameters):,} parameters, stored as {stored} safetensors.",
            "",
            "```python",
            f"from gatedinpaint import {name}",
            "",
            f'model = {name}.from_pretrained("OWNER/NAME")  # or the path of this folder',
            "```",
            "",
            "Images are float (B, 3, H, W) in [-1, 1]; masks (B, 1, H, W), 1 marks the hole.",
            "",
            "## Training, data and limits",
            "",
            about.strip() or "Nothing has been said about them. Ask whoever shares this model.",
            "",
            "## Responsible use",
            "",
            "What a generator paints in a hole is invented: plausible at best, and no evidence of what was there or of",
            "what anybody looks like. Say that a result is generated, and ask the people on a photo first.",
            "",
        ]
    )
