"""Where tensors are made: with their arguments, or on the CPU, whatever the default device is."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from gatedinpaint import ThinPlateSpline, box_mask, free_form_mask, irregular_mask, warp_image
from gatedinpaint.metrics import FeatureStatistics, bootstrap_interval, frechet_distance

POINTS = torch.tensor([[0.0, 0.0], [7.0, 0.0], [0.0, 7.0], [6.0, 6.0]])
IMAGE, ROWS = torch.rand(1, 3, 8, 8), torch.rand(8, 3)


def spline() -> Tensor:
    return warp_image(IMAGE, ThinPlateSpline.fit(POINTS, POINTS + 1, regularization=0.1))[0]


def distance() -> Tensor:
    first, second = FeatureStatistics(3), FeatureStatistics(3)
    first.update(ROWS)
    second.update(ROWS + 1)
    return torch.tensor([frechet_distance(first, second), *first.mean.tolist()], device="cpu")


CASES: dict[str, Callable[[], Tensor]] = {
    "warp_image": spline,
    "frechet_distance": distance,
    "bootstrap_interval": lambda: torch.tensor(bootstrap_interval(ROWS[:, 0]), device="cpu"),
    **{
        f"{draw.__name__} of {ratio}": lambda draw=draw, ratio=ratio: draw((8, 8), hole_ratio=ratio, seed=0)
        for draw in (box_mask, free_form_mask, irregular_mask)
        for ratio in (0.0, 0.25)
    },
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_another_default_device_changes_nothing(case: Callable[[], Tensor]) -> None:
    expected = case()
    with torch.device("meta"):
        found = case()
    assert found.device.type == "cpu" and torch.equal(found, expected)
