"""The files are there complete or not at all; what ONNX Runtime computes from them is what PyTorch does."""

import sys
from pathlib import Path
from typing import NamedTuple

import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from gatedinpaint import DeepFillV2Generator, InpaintGenerator, SelfAttention2d, optimize_for_inference
from gatedinpaint.export import _Stages, export_onnx


class Output(NamedTuple):
    coarse: Tensor
    refined: Tensor


class Small(nn.Module):
    """As a generator in all but its size."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(4, 3, 3, padding=1)

    def forward(self, image: Tensor, mask: Tensor) -> Output:
        coarse = self.layer(torch.cat([image, mask], dim=1)).tanh()
        return Output(coarse, coarse / 2 if self.training else coarse.square())


class Restless(Small):
    def forward(self, image: Tensor, mask: Tensor) -> Output:
        return Output(image, image + torch.rand_like(image))


class Unnamed(Small):
    def forward(self, image: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]
        return image


def run(path: Path, *inputs: Tensor) -> list[Tensor]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == ["coarse", "refined"]
    names = ("image", "mask", "reference", "reference_mask")[: len(inputs)]
    assert [value.name for value in session.get_inputs()] == list(names)
    return [torch.from_numpy(x) for x in session.run(None, dict(zip(names, map(Tensor.numpy, inputs), strict=True)))]


def pair(batch: int, height: int, width: int, *, seed: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    image = 2 * torch.rand(batch, 3, height, width, generator=generator) - 1
    mask = torch.zeros(batch, 1, height, width)
    mask[..., height // 4 : height // 2, width // 4 :] = 1
    return image, mask


def test_small_network_for_every_batch_and_size(tmp_path: Path) -> None:
    network = Small().train()
    export_onnx(network, tmp_path / "new" / "small.onnx", size=(32, 48))
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["small.onnx"]
    assert network.training
    inputs = pair(3, 19, 50)
    torch.testing.assert_close(run(tmp_path / "new" / "small.onnx", *inputs), list(network.eval()(*inputs)))


def test_fixed_size_takes_one_image_of_it(tmp_path: Path) -> None:
    path = tmp_path / "small.onnx"
    export_onnx(Small().half(), path, size=(20, 24), dynamic=False, metadata={"weights": "first try"})
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map["weights"] == "first try"
    assert "smallest_side" not in session.get_modelmeta().custom_metadata_map  # one size only
    assert run(path, *pair(1, 20, 24))[0].dtype == torch.float32
    with pytest.raises(onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument, match="Got: 25 Expected: 24"):
        run(path, *pair(1, 20, 25))


def test_a_file_that_is_there_stays_unless_asked(tmp_path: Path) -> None:
    path = tmp_path / "small.onnx"
    path.write_bytes(b"precious")
    with pytest.raises(FileExistsError, match=r"small.onnx is already there. Pass overwrite=True"):
        export_onnx(Small(), path)
    with pytest.raises(TypeError):
        export_onnx(Unnamed(), path, overwrite=True)
    assert path.read_bytes() == b"precious"
    export_onnx(Small(), path, size=(20, 24), dynamic=False, overwrite=True)
    assert run(path, *pair(1, 20, 24))[0].shape == (1, 3, 20, 24)


def test_a_file_that_differs_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"must agree to 0.0001; refined differs by .* at \(1, 20, 24\)"):
        export_onnx(Restless(), tmp_path / "restless.onnx", size=(20, 24), dynamic=False)
    assert list(tmp_path.iterdir()) == []


def test_bad_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TypeError, match=r"model must be a generator, an nn.Module; got str"):
        export_onnx("generator", tmp_path / "a.onnx")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="Unnamed must return a tuple with the names coarse and refined; got no names"):
        export_onnx(Unnamed(), tmp_path / "a.onnx")
    with pytest.raises(ValueError, match=r"each 17 pixels or more; got \(16, 64\)"):
        export_onnx(Small(), tmp_path / "a.onnx", size=(16, 64))
    with pytest.raises(ValueError, match=r"each 33 pixels or more; got \(64, 32\)"):
        export_onnx(InpaintGenerator(2, coarse="unet"), tmp_path / "a.onnx", size=(64, 32))
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ImportError, match=r'onnxscript is needed here .* pip install "gatedinpaint\[onnx\]"'):
        export_onnx(Small(), tmp_path / "a.onnx")


@pytest.mark.slow
@pytest.mark.parametrize(
    "generator",
    [
        InpaintGenerator(2, reference=False),
        InpaintGenerator(2),
        InpaintGenerator(2, coarse="unet", skips="all", self_ensemble=True),
        DeepFillV2Generator(4),
        optimize_for_inference(InpaintGenerator(2, reference=False)),
    ],
    ids=[
        "InpaintGenerator",
        "InpaintGenerator with reference",
        "InpaintGenerator with U-Net, all skips, self-ensemble",
        "DeepFillV2Generator",
        "optimized",
    ],
)
def test_generators_at_three_sizes(generator: nn.Module, tmp_path: Path) -> None:
    for layer in generator.modules():
        if isinstance(layer, SelfAttention2d):
            nn.init.constant_(layer.gamma, 0.5)  # at 0 the attention would not be seen
    path = tmp_path / "generator.onnx"
    export_onnx(generator, path, size=(48, 37))
    about = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).get_modelmeta()
    smallest = int(about.custom_metadata_map["smallest_side"])
    assert smallest == (33 if getattr(generator, "config", {}).get("coarse") == "unet" else 17)
    generator.eval()
    for batch, height, width in ((1, 64, 64), (2, 96, 40), (3, smallest, 51)):
        inputs = pair(batch, height, width)
        if getattr(generator, "reference", False):
            inputs += pair(batch, height, width, seed=2)
        with torch.no_grad():
            expected = generator(*inputs)
        for name, found in zip(("coarse", "refined"), run(path, *inputs), strict=True):
            torch.testing.assert_close(found, getattr(expected, name), rtol=0, atol=1e-4)


def test_more_weights_than_one_file_takes(tmp_path: Path) -> None:
    with torch.device("meta"):
        large = InpaintGenerator(80, reference=False)
    with pytest.raises(ValueError, match=r"at most 1\.5 GB of weights in float32, .*; got 1\.6 GB"):
        export_onnx(large, tmp_path / "large.onnx")
    assert list(tmp_path.iterdir()) == []


def test_an_optimized_network_is_traced_in_plain_layout() -> None:
    optimized = optimize_for_inference(InpaintGenerator(2, reference=False))
    kernels = [weight for weight in optimized.parameters() if weight.ndim == 4 and min(weight.shape) > 1]
    assert kernels and not any(weight.is_contiguous() for weight in kernels)
    assert all(weight.is_contiguous() for weight in _Stages(optimized).parameters())


def test_whatever_the_default_type_the_file_is_float32(tmp_path: Path) -> None:
    network = Small()
    torch.set_default_dtype(torch.float64)
    try:
        export_onnx(network, tmp_path / "small.onnx", size=(20, 24), dynamic=False)
    finally:
        torch.set_default_dtype(torch.float32)
    assert run(tmp_path / "small.onnx", *pair(1, 20, 24))[0].dtype == torch.float32
