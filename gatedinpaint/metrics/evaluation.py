"""Measure methods side by side on the same images and holes."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from gatedinpaint._checks import check_count, check_image, check_mapping, check_mask, check_same_shape
from gatedinpaint.metrics._extractors import distance_name, evaluated, features_of
from gatedinpaint.metrics._inputs import check_not_empty, check_range, names_of
from gatedinpaint.metrics._manifest import manifest
from gatedinpaint.metrics._regions import region_figures
from gatedinpaint.metrics.feature_statistics import FeatureStatistics
from gatedinpaint.metrics.frechet import frechet_distance, of_all_ranks
from gatedinpaint.metrics.identity import embedded
from gatedinpaint.metrics.lpips import LPIPS
from gatedinpaint.metrics.report import InpaintingReport

_TRUTH = ""


class InpaintingEvaluation:
    """Measures what methods make of the same images and holes, batch by batch, and reports on each.

    PSNR and SSIM are taken three times: over the whole image, in the hole alone, and in a band along the hole's
    border, ``band`` pixels to each side, where seams show. SSIM is that of photos, with ``lowest=-1.0``. LPIPS and
    Fréchet distances see whole images: pass composites, unless what a method does outside the hole is to count. What
    depends on the truth alone is computed once for all methods. Under ``torch.distributed`` every rank brings its own
    images and gets the reports of all.

    A figure is NaN where its region is empty: the band of a hole that is the whole image, SSIM in a hole of which all
    lies within 5 pixels of the image's edge. Reports leave such images out of that figure.

    Args:
        lpips: the networks to measure LPIPS with.
        extractors: one Fréchet distance each; images (B, 3, H, W) in [−1, 1] → (B, D). See :class:`FrechetDistance`.
        embedder: for :func:`identity_similarity`; images (B, 3, H, W) in [−1, 1] → (B, D).
        band: half the width of the band in pixels.

    Raises:
        TypeError: what is no floating-point tensor; results that are not by method; a ``band`` that is no whole number.
        ValueError: images that are not (B, 3, H, W) in [−1, 1]; results of another shape; methods that differ from
            those of the first batch; an image without a hole; an id that came before; extractors of one name; features
            that are not (B, D) or not finite; no images in :meth:`reports`. A batch that raises is not taken in.

    Example:
        >>> evaluation = InpaintingEvaluation()
        >>> image, mask = torch.zeros(1, 3, 32, 32), torch.zeros(1, 1, 32, 32)
        >>> mask[..., 8:24, 8:24] = 1
        >>> evaluation.update({"grey": torch.full_like(image, 0.2)}, image, mask, ids=["one"])
        >>> evaluation.reports()["grey"].rows[0]["PSNR hole"]  # 10 · log10(2² / 0.2²)
        20.0
    """

    def __init__(
        self,
        *,
        lpips: Sequence[LPIPS] = (),
        extractors: Sequence[Callable[[Tensor], Tensor]] = (),
        embedder: Callable[[Tensor], Tensor] | None = None,
        band: int = 4,
    ) -> None:
        self.band = check_count(band, name="band")
        self.lpips = list(lpips)
        self.extractors = {distance_name(extractor): evaluated(extractor) for extractor in extractors}
        if len(self.extractors) < len(extractors):
            names = [distance_name(extractor) for extractor in extractors]
            raise ValueError(f"extractors must have different names; got {names}. Give each an attribute name.")
        self.embedder = None if embedder is None else evaluated(embedder)
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self._hashes: dict[str | int, str] = {}
        self._sizes: set[tuple[int, int]] = set()
        self._statistics: dict[tuple[str, str], FeatureStatistics] = {}

    @torch.no_grad()
    def update(
        self, results: Mapping[str, Tensor], image: Tensor, mask: Tensor, *, ids: Sequence[str | int] | Tensor
    ) -> None:
        """Measure every method on a batch.

        Args:
            results: (B, 3, H, W) in [−1, 1], by method.
            image: the truth.
            mask: (B, 1, H, W), 1 = hole.
            ids: a name or number for each image.
        """
        ids = names_of(ids)
        self._check(results, image, mask, ids)
        mask = (mask > 0.5).to(image.dtype)
        truth = [network.features(image) for network in self.lpips]
        person = None if self.embedder is None else embedded(self.embedder, image)
        ratios = mask.double().mean(dim=(1, 2, 3)).tolist()
        rows: dict[str, list[dict[str, Any]]] = {}
        features = {(_TRUTH, name): features_of(extractor, image) for name, extractor in self.extractors.items()}
        for method, result in results.items():
            figures = region_figures(result, image, mask, band=self.band)
            for network, of_truth in zip(self.lpips, truth, strict=True):
                figures[f"LPIPS {network.net}"] = network.distance(network.features(result), of_truth)
            if self.embedder is not None and person is not None:
                figures["identity"] = F.cosine_similarity(embedded(self.embedder, result), person, dim=1)
            features |= {(method, name): features_of(extractor, result) for name, extractor in self.extractors.items()}
            values = {name: value.tolist() for name, value in figures.items()}
            rows[method] = [
                {"id": id, "hole_ratio": ratios[place], **{name: value[place] for name, value in values.items()}}
                for place, id in enumerate(ids)
            ]
        for (_, name), found in features.items():
            if (_TRUTH, name) in self._statistics and found.shape[1] != self._statistics[_TRUTH, name].dim:
                before = self._statistics[_TRUTH, name].dim
                raise ValueError(
                    f"an extractor must give as many features for every image; {name} gave {before} before, now "
                    f"{found.shape[1]}. Average its maps over their pixels."
                )
        # Nothing raises from here on: a batch is taken in whole or not at all.
        for method in results:
            self.rows.setdefault(method, []).extend(rows[method])
        for key, found in features.items():
            self._statistics.setdefault(key, FeatureStatistics(found.shape[1])).update(found)
        for id, picture, hole in zip(ids, image, mask, strict=True):
            content = [x.float().cpu().contiguous().numpy().tobytes() for x in (picture, hole)]
            self._hashes[id] = hashlib.sha256(b"".join(content)).hexdigest()
        self._sizes.add((image.shape[2], image.shape[3]))

    def reports(self, *, seed: int | None = None, **about: Any) -> dict[str, InpaintingReport]:
        """The report of every method, on the images of all ranks.

        Args:
            seed: of the holes or the methods, for the manifest.
            about: whatever else belongs into the manifest, such as the name of the data, under names of its own.

        Raises:
            ValueError: no images were measured; an image was measured on two ranks; a name in ``about`` that protocol
                or manifest have already, such as "data", the hash.
        """
        parts = _from_all_ranks((self.rows, self._hashes, self._sizes))
        hashes = {id: value for _, part, _ in parts for id, value in part.items()}
        if not hashes:
            raise ValueError("no images were measured. Call update first.")
        if len(hashes) < sum(len(part) for _, part, _ in parts):
            raise ValueError("an image was measured on two ranks. Give every rank its own.")
        methods = next(list(rows) for rows, _, _ in parts if rows)
        rows = {method: [row for part, _, _ in parts for row in part.get(method, ())] for method in methods}
        ordered = sorted(hashes, key=lambda id: (isinstance(id, str), id))
        lines = "".join(f"{id} {hashes[id]}\n" for id in ordered)
        protocol = {
            "data": hashlib.sha256(lines.encode()).hexdigest(),
            "images": len(hashes),
            "sizes": sorted({f"{height}×{width}" for _, _, sizes in parts for height, width in sizes}),
            "band": self.band,
            "range": [-1.0, 1.0],
            "figures": [name for name in rows[methods[0]][0] if name not in ("id", "hole_ratio")] + [*self.extractors],
        }
        made = manifest()
        if taken := sorted(about.keys() & {*protocol, *made}):
            raise ValueError(f"what is said about the measurement must have names of its own; {taken} are taken.")
        totals = {
            (method, name): of_all_ranks(self._statistics.get((method, name)))
            for method in (_TRUTH, *methods)
            for name in self.extractors
        }
        return {
            method: InpaintingReport(
                method,
                protocol,
                sorted(rows[method], key=lambda row: str(row["id"])),
                {name: _distance(totals[method, name], totals[_TRUTH, name]) for name in self.extractors},
                {"seed": seed, **about, **made},
            )
            for method in methods
        }

    def _check(self, results: Mapping[str, Tensor], image: Tensor, mask: Tensor, ids: Sequence[str | int]) -> None:
        check_mapping(results, name="results", example='{"ours": result}')
        check_image(image)
        check_mask(mask, image)
        check_range(image, -1.0, 1.0, name="image")
        check_not_empty((mask > 0.5).float(), "mask must mark at least one hole pixel (1 = hole)")
        if not results or (self.rows and results.keys() != self.rows.keys()):
            wanted = f"the methods {list(self.rows)}, as before" if self.rows else "a method or more"
            raise ValueError(f"results must hold {wanted}; got {list(results)}.")
        if _TRUTH in results:
            raise ValueError("a method needs a name; got an empty one.")
        for method, result in results.items():
            check_same_shape(result, image, name=f"results[{method!r}]", other="image")
            check_range(result, -1.0, 1.0, name=f"results[{method!r}]")
        if len(ids) != len(image) or len({*ids}) < len(ids) or self._hashes.keys() & {*ids}:
            raise ValueError(f"ids must name each of the {len(image)} images once, by new names; got {list(ids)}.")


def _distance(generated: FeatureStatistics | None, real: FeatureStatistics | None) -> float:
    if generated is None or real is None or generated.count < 2:
        return float("nan")
    return frechet_distance(generated, real)


def _from_all_ranks(own: Any) -> list[Any]:
    if not (dist.is_available() and dist.is_initialized()):
        return [own]
    parts: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(parts, own)
    return parts
