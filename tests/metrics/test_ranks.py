"""Two gloo ranks with different numbers of images measure what one process measures.

The file is both the test and, run as a script, one rank of it.
"""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from gatedinpaint.metrics import FrechetDistance, InpaintingEvaluation

RANKS = 2
SHARES = (slice(0, 11), slice(11, 16))


def places(image: Tensor) -> Tensor:
    """Twelve features of few images: both ways to the distance occur, with rows kept and with rows folded."""
    return torch.nn.functional.adaptive_avg_pool2d(image, 2).flatten(1)


def data() -> tuple[Tensor, Tensor, Tensor]:
    image, result = torch.rand(2, 16, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    mask = torch.zeros(16, 1, 16, 16)
    mask[..., 4:12, 4:12] = 1
    return image, mask, result


def measured(share: slice) -> dict[str, Any]:
    image, mask, result = data()
    evaluation, distance = InpaintingEvaluation(extractors=[places]), FrechetDistance(places)
    for index in range(16)[share]:
        one = slice(index, index + 1)
        evaluation.update({"m": result[one]}, image[one], mask[one], ids=[f"{index:02}"])
        distance.update(image[one], real=True).update(result[one], real=False)
    report = evaluation.reports()["m"]
    return {"report": asdict(report) | {"manifest": None}, "distance": distance.compute()}


def rank_main(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/group", rank=rank, world_size=RANKS)
    Path(folder, f"{rank}.json").write_text(json.dumps(measured(SHARES[rank])))
    dist.destroy_process_group()


def test_two_ranks_equal_one(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    commands = [[sys.executable, __file__, str(rank), str(tmp_path)] for rank in range(RANKS)]
    ranks = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) for command in commands]
    try:
        errors = [process.communicate(timeout=120)[1] for process in ranks]
    finally:
        for process in ranks:
            process.kill()
    for process, error in zip(ranks, errors, strict=True):
        assert process.returncode == 0, error
    expected = json.loads(json.dumps(measured(slice(0, 16))))
    for rank in range(RANKS):
        found = json.loads((tmp_path / f"{rank}.json").read_text())
        assert found["distance"] == pytest.approx(expected["distance"], abs=1e-8)
        assert found["report"]["rows"] == expected["report"]["rows"]
        assert found["report"]["protocol"] == expected["report"]["protocol"]
        assert found["report"]["distances"] == pytest.approx(expected["report"]["distances"], abs=1e-8)


def test_one_ranks_own_share_would_be_another_number() -> None:
    """The test above can fail."""
    with pytest.warns(UserWarning, match="images for 12 features"):
        assert abs(measured(SHARES[0])["distance"] - measured(slice(0, 16))["distance"]) > 1e-3


if __name__ == "__main__":
    rank_main(int(sys.argv[1]), sys.argv[2])
