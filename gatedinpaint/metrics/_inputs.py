"""What metrics ask of their arguments."""

import math
from collections.abc import Sequence
from operator import index

import torch
from torch import Tensor

from gatedinpaint._checks import check_float, check_image, check_mask, check_positive, check_same_shape

_ROUNDING = 1e-3  # of data_range; more than rounding is a wrong range


def check_metric_inputs(input: Tensor, target: Tensor, mask: Tensor | None, *, data_range: float) -> None:
    """Raise unless the images are alike in shape, fit in ``data_range``, and every mask has a hole."""
    for name, image in (("input", input), ("target", target)):
        # Not to be scaled to [-1, 1]: with the data_range of a photo that would add 42 dB.
        check_float(image, name=name, remedy="Convert it with {name}.float(); data_range is 255 for a photo.")
    check_image(input, name="input", channels=None)
    check_same_shape(input, target)
    check_positive(data_range, name="data_range")
    # By samples: one that holds NaN has NaN for a figure, and excuses no other.
    extremes = [image.detach().flatten(1).aminmax(dim=1) for image in (input, target)]
    lowest = min((x for low, _ in extremes for x in low.tolist() if not math.isnan(x)), default=0.0)
    highest = max((x for _, high in extremes for x in high.tolist() if not math.isnan(x)), default=0.0)
    if highest - lowest > data_range * (1 + _ROUNDING):
        raise ValueError(
            f"data_range is highest minus lowest possible value; got data_range={data_range:g} for values from "
            f"{lowest:g} to {highest:g}. Pass 2.0 for images in [-1, 1], 1.0 for [0, 1], 255 for [0, 255], "
            "or clamp the images."
        )
    if mask is not None:
        check_mask(mask, input, image_name="input")
        check_not_empty(mask, "mask must mark at least one hole pixel (1 = hole)")


def check_range(image: Tensor, low: float, high: float, *, name: str) -> None:
    """Raise unless all values of ``image`` lie in [low, high], give or take rounding."""
    lowest, highest = (float(value) for value in image.detach().aminmax())
    margin = _ROUNDING * (high - low)
    # Written so that NaN fails too.
    if not (lowest >= low - margin and highest <= high + margin):
        raise ValueError(
            f"{name} must be in [{low:g}, {high:g}]; got values from {lowest:g} to {highest:g}. "
            "Scale the image, or clamp it."
        )


def check_not_empty(mask: Tensor, expected: str) -> None:
    """Raise, naming the samples, unless every sample of ``mask`` has a pixel above 0."""
    empty = torch.nonzero(mask.flatten(1).amax(dim=1) <= 0).flatten().tolist()
    if empty:
        raise ValueError(f"{expected}; got none in sample {', '.join(map(str, empty))}. Leave those samples out.")


def names_of(ids: Sequence[str | int] | Tensor) -> list[str | int]:
    """Ids as words and whole numbers, also out of a tensor that a loader made of numbers."""
    try:
        return [id if isinstance(id, str) else index(id) for id in (ids.tolist() if isinstance(ids, Tensor) else ids)]
    except TypeError:
        raise TypeError(f"ids must be words or whole numbers; got {ids!r}.") from None
