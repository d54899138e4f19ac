import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from gatedinpaint import (
    DeepFillV2Generator,
    InpaintGenerator,
    SNPatchDiscriminator,
    load_model,
    optimize_for_inference,
    save_model,
)


@pytest.mark.parametrize(
    "build",
    [
        lambda: InpaintGenerator(2, reference=False),
        lambda: InpaintGenerator(2, coarse="unet", skips="all", self_ensemble=True),
        lambda: DeepFillV2Generator(4),
        lambda: SNPatchDiscriminator(2),
    ],
)
def test_round_trip(tmp_path: Path, build) -> None:
    model = build().eval()
    save_model(model, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    image, mask = torch.rand(1, 3, 32, 32), torch.ones(1, 1, 32, 32)
    first, second = model(image, mask), loaded(image, mask)
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a, b)
    assert type(loaded) is type(model)
    assert not loaded.training


def test_half_precision_halves_the_file_and_loads_as_float32(tmp_path: Path) -> None:
    model = InpaintGenerator(4)
    save_model(model, tmp_path / "full")
    save_model(model, tmp_path / "half", dtype=torch.float16)
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("full", "half")]
    assert sizes[1] < 0.55 * sizes[0]
    loaded = load_model(tmp_path / "half")
    for name, parameter in loaded.named_parameters():
        assert parameter.dtype == torch.float32
        assert torch.equal(parameter, model.get_parameter(name).half().float())


def test_nothing_is_overwritten_unless_asked(tmp_path: Path) -> None:
    save_model(InpaintGenerator(2), tmp_path)
    before = (tmp_path / "model.safetensors").read_bytes()
    with pytest.raises(FileExistsError, match=r"already holds model.safetensors and config.json. Pass overwrite=True"):
        save_model(InpaintGenerator(2), tmp_path)
    assert (tmp_path / "model.safetensors").read_bytes() == before
    save_model(InpaintGenerator(4), tmp_path, overwrite=True)
    assert load_model(tmp_path).base_channels == 4


def test_a_failed_save_leaves_the_old_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = InpaintGenerator(2)
    save_model(model, tmp_path)

    def disk_full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("gatedinpaint.models.io.save", disk_full)
    with pytest.raises(OSError, match="No space left"):
        save_model(InpaintGenerator(2), tmp_path, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]
    assert torch.equal(load_model(tmp_path).coarse.encoder[0].conv.weight, model.coarse.encoder[0].conv.weight)


def test_other_networks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        TypeError, match="must be one of InpaintGenerator, DeepFillV2Generator, SNPatchDiscriminator; got Linear"
    ):
        save_model(nn.Linear(1, 1), tmp_path)


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"config.json: no such file. Expected a folder written by save_model"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"model": "os.system"}', '{"model": "InpaintGenerator", "base_channels": 3}', '{"model": 5}']
    + ['{"model": "InpaintGenerator", "depth": 3}'],
)
def test_bad_configuration(tmp_path: Path, text: str) -> None:
    save_model(InpaintGenerator(2), tmp_path)
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ValueError, match=r"config.json: not the configuration of InpaintGenerator or"):
        load_model(tmp_path)


def test_weights_that_do_not_fit(tmp_path: Path) -> None:
    save_model(InpaintGenerator(2), tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    weights["extra"] = torch.zeros(1)
    del weights["refine.to_rgb.bias"]
    weights["coarse.decoder.4.bias"] = torch.zeros(4)
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="do not fit InpaintGenerator") as error:
        load_model(tmp_path)
    for part in ("missing refine.to_rgb.bias", "unexpected extra", "coarse.decoder.4.bias is (4,), expected (3,)"):
        assert part in str(error.value)


def test_a_truncated_file(tmp_path: Path) -> None:
    save_model(InpaintGenerator(2), tmp_path)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="damaged or not a safetensors file"):
        load_model(tmp_path)


def test_the_configuration_is_readable(tmp_path: Path) -> None:
    save_model(SNPatchDiscriminator(3), tmp_path)
    assert json.loads((tmp_path / "config.json").read_text()) == {"model": "SNPatchDiscriminator", "base_channels": 3}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"base_channels": True}, "base_channels must be int; got True"),
        ({"base_channels": 2.0}, "base_channels must be int; got 2.0"),
        ({"base_channels": "2"}, "base_channels must be int; got '2'"),
        ({"reference": 1}, "reference must be bool; got 1"),
        ({"reference": None}, "reference must be bool; got None"),
        # Too large for memory (the weights of the file are of another width), and too large for torch to count.
        ({"base_channels": 1_000_000}, "do not fit InpaintGenerator"),
        ({"base_channels": 10**10}, "not the configuration of"),
        ({"base_channels": 10**30}, "not the configuration of"),
    ],
)
def test_bad_values_in_the_configuration(tmp_path: Path, entry: dict[str, object], message: str) -> None:
    save_model(InpaintGenerator(2), tmp_path)
    config = {"model": "InpaintGenerator", "base_channels": 2, "reference": True} | entry
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=message):
        load_model(tmp_path)


def test_a_bad_device_is_named(tmp_path: Path) -> None:
    save_model(InpaintGenerator(2), tmp_path)
    with pytest.raises(ValueError, match="device must name a device such as 'cpu' or 'cuda:0'; got 'gpu'"):
        load_model(tmp_path, device="gpu")


def test_everything_that_is_loaded_is_in_memory(tmp_path: Path) -> None:
    save_model(SNPatchDiscriminator(2), tmp_path)
    loaded = load_model(tmp_path, device=torch.device("cpu"))
    tensors = {**dict(loaded.named_parameters()), **dict(loaded.named_buffers())}
    assert tensors.keys() == loaded.state_dict().keys()  # a buffer outside the state dict would keep no value
    assert {tensor.device.type for tensor in tensors.values()} == {"cpu"}
    assert all(parameter.requires_grad for parameter in loaded.parameters())


@pytest.mark.parametrize("dtype", [torch.int8, torch.complex64, "float16"])
def test_other_types_are_refused(tmp_path: Path, dtype: object) -> None:
    with pytest.raises(TypeError, match=r"dtype must be a floating-point type such as torch\.float16; got"):
        save_model(SNPatchDiscriminator(2), tmp_path / "model", dtype=dtype)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("dtype", [torch.float16, torch.float8_e4m3fn])
def test_a_weight_too_large_for_the_type_is_refused(tmp_path: Path, dtype: torch.dtype) -> None:
    model = InpaintGenerator(2)
    nn.init.constant_(model.refine.to_rgb.bias, 1e6)
    with pytest.raises(
        ValueError, match=r"refine\.to_rgb\.bias does not fit into torch\.float.*largest value is 1e\+06"
    ):
        save_model(model, tmp_path / "model", dtype=dtype)
    assert not (tmp_path / "model").exists()
    save_model(model, tmp_path / "model", dtype=torch.bfloat16)
    nn.init.constant_(model.refine.to_rgb.bias, torch.inf)  # stays what it is
    save_model(model, tmp_path / "infinite", dtype=torch.float16)


def test_a_copy_for_inference_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    fast = optimize_for_inference(SNPatchDiscriminator(2))
    with pytest.raises(
        ValueError, match=r"load_model would refuse them: missing layers\.0\.param.*not a copy by optimize"
    ):
        save_model(fast, tmp_path / "model")
    assert not (tmp_path / "model").exists()
    save_model(optimize_for_inference(InpaintGenerator(2)), tmp_path / "model")  # without spectral norm nothing is lost


def test_wrapped_networks_say_what_to_pass(tmp_path: Path) -> None:
    model = InpaintGenerator(2)
    with pytest.raises(TypeError, match=r"got DataParallel\. Pass model\.module\."):
        save_model(nn.DataParallel(model), tmp_path)
    with pytest.raises(TypeError, match=r"got OptimizedModule\. Pass model\._orig_mod\."):
        save_model(torch.compile(model), tmp_path)


def test_an_absent_device_is_named_before_anything_is_read(tmp_path: Path) -> None:
    save_model(InpaintGenerator(2), tmp_path)
    (tmp_path / "config.json").write_text("damaged")
    with pytest.raises(ValueError, match=r"device 'cuda:99' is not available here: .*Pass device='cpu'"):
        load_model(tmp_path, device="cuda:99")
    with pytest.raises(ValueError, match=r"device must hold values, which 'meta' does not. Pass device='cpu'"):
        load_model(tmp_path, device="meta")


@pytest.mark.parametrize(
    "build",
    [
        lambda: InpaintGenerator(np.int64(2), reference=np.bool_(True), self_ensemble=1),
        lambda: SNPatchDiscriminator(np.int32(2)),
        lambda: SNPatchDiscriminator(True),
        lambda: DeepFillV2Generator(np.int16(4)),
    ],
)
def test_numbers_of_other_types_are_saved_and_loaded(tmp_path: Path, build: Callable[[], nn.Module]) -> None:
    model = build()
    assert all(type(value) in (int, bool) for value in model.config.values())
    save_model(model, tmp_path)
    assert load_model(tmp_path).config == model.config


def test_what_load_model_would_refuse_is_not_saved(tmp_path: Path) -> None:
    model = InpaintGenerator(2)
    model.reference = 1  # not what the constructor leaves there
    with pytest.raises(TypeError, match="reference must be bool; got 1"):
        save_model(model, tmp_path / "model")
    assert not (tmp_path / "model").exists()
