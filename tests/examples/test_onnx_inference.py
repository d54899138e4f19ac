"""The generator without PyTorch: the small graphs here are drawn by hand, so that what they compute is known."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from PIL import Image

from benchmarks import engines
from examples.mask_removal import export_onnx, onnx_inference, remove
from examples.mask_removal.onnx_inference import MODEL_KEY, OnnxGenerator, as_image, as_photo, fill, main
from examples.mask_removal.pipeline import WEIGHTS, load_default, remove_mask
from gatedinpaint import InpaintGenerator, image_to_photo, photo_to_image, read_photo, save_model, write_photo
from gatedinpaint.faces import FaceLandmarker, draw_face_mask
from tests.image.test_files import png_of_size

# Nothing but these, their own needs and the standard library may be there.
WITHOUT_TORCH = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "gatedinpaint", "cv2", "safetensors", "onnx"}:
            raise ModuleNotFoundError(f"{name} is not here", name=name)
sys.meta_path.insert(0, Refuse())
"""


def without_torch(code: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", WITHOUT_TORCH + code]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)


def drawn(path: Path, *, reference: bool, **metadata: str) -> Path:
    """A file as a generator's: coarse = −image, refined = reference · known − image, or image + mask without."""
    names = ["image", "mask", "reference", "reference_mask"][: 4 if reference else 2]
    values = {
        name: helper.make_tensor_value_info(
            name, TensorProto.FLOAT, ["batch", 1 if "mask" in name else 3, "height", "width"]
        )
        for name in [*names, "coarse", "refined"]
    }
    nodes = [helper.make_node("Neg", ["image"], ["coarse"])]
    if reference:
        nodes.append(helper.make_node("Mul", ["reference", "reference_mask"], ["shown"]))
        nodes.append(helper.make_node("Add", ["shown", "coarse"], ["refined"]))
    else:
        nodes.append(helper.make_node("Add", ["image", "mask"], ["refined"]))
    graph = helper.make_graph(nodes, "drawn", [values[name] for name in names], [values["coarse"], values["refined"]])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, metadata)
    onnx.save(model, path)
    return path


def picture(height: int = 20, width: int = 31) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_photos_become_arrays_as_the_package_makes_them() -> None:
    photo = picture()
    assert np.array_equal(as_image(photo), photo_to_image(photo).numpy())
    assert np.array_equal(as_photo(as_image(photo)), photo)
    noise = np.random.default_rng(1).normal(0, 1, (1, 3, 20, 31)).astype(np.float32)
    assert np.array_equal(as_photo(noise), image_to_photo(torch.from_numpy(noise)))


def test_a_file_without_reference(tmp_path: Path) -> None:
    generator = OnnxGenerator(drawn(tmp_path / "a.onnx", reference=False), threads=1)
    assert not generator.reference and generator.model_sha256 == ""
    photo, hole = picture(), np.zeros((20, 31), bool)
    hole[5:9, 10:20] = True
    photo[hole] = (0, 51, 255)
    coarse, refined = generator(as_image(photo), hole[None, None].astype(np.float32))
    assert np.array_equal(coarse, -as_image(photo)) and refined.shape == (1, 3, 20, 31)
    filled = fill(generator, photo, hole)
    assert np.array_equal(filled[~hole], photo[~hole])
    assert (filled[hole] == (128, 178, 255)).all()  # half a range lighter, and clipped; 127.5 goes to the even number
    with pytest.raises(ValueError, match="no reference channels. Leave the reference out"):
        fill(generator, photo, hole, photo)
    with pytest.raises(ValueError, match="reference_mask was given without reference"):
        generator(as_image(photo), hole[None, None], reference_mask=hole[None, None])


def test_a_file_with_reference_takes_nothing_for_none(tmp_path: Path) -> None:
    generator = OnnxGenerator(drawn(tmp_path / "a.onnx", reference=True, **{MODEL_KEY: "abc"}))
    assert generator.reference and generator.model_sha256 == "abc"
    image = as_image(picture())
    mask = np.zeros_like(image[:, :1])
    assert np.array_equal(generator(image, mask).refined, -image)
    assert np.array_equal(generator(image, mask, image[..., ::-1]).refined, image[..., ::-1] - image)
    assert np.array_equal(generator(image, mask, image, mask).refined, -image)
    batch = np.concatenate([image] * 3)
    assert generator(batch, np.zeros_like(batch[:, :1])).coarse.shape == batch.shape


def test_what_does_not_fit_is_said(tmp_path: Path) -> None:
    generator = OnnxGenerator(drawn(tmp_path / "a.onnx", reference=False))
    image = as_image(picture())
    with pytest.raises(ValueError, match=r"mask must be \(1, 1, 20, 31\) as the image; got \(1, 1, 20, 30\)"):
        generator(image, np.zeros((1, 1, 20, 30), np.float32))
    with pytest.raises(ValueError, match=r"image must be \(B, 3, H, W\) of 17 pixels or more; got \(1, 3, 20, 16\)"):
        generator(image[..., :16], np.zeros((1, 1, 20, 16), np.float32))
    larger = OnnxGenerator(drawn(tmp_path / "b.onnx", reference=False, smallest_side="33"))
    with pytest.raises(ValueError, match=r"image must be \(B, 3, H, W\) of 33 pixels or more; got \(1, 3, 20, 31\)"):
        larger(image, np.zeros((1, 1, 20, 31), np.float32))
    with pytest.raises(ValueError, match="a hole must be bool"):
        fill(generator, picture(), np.zeros((20, 31), np.uint8))
    with pytest.raises(ValueError, match="a photo must be uint8"):
        fill(generator, picture().astype(float), np.zeros((20, 31), bool))
    with pytest.raises(FileNotFoundError, match="export_onnx"):
        OnnxGenerator(tmp_path / "missing.onnx")
    (tmp_path / "text.onnx").write_text("no graph")
    with pytest.raises(ValueError, match="damaged or not an ONNX file"):
        OnnxGenerator(tmp_path / "text.onnx")


def test_the_command_runs_without_torch(tmp_path: Path) -> None:
    drawn(tmp_path / "a.onnx", reference=False)
    hole = np.zeros((20, 31, 3), np.uint8)
    hole[5:9, 10:20] = 255
    write_photo(tmp_path / "crop.png", picture())
    write_photo(tmp_path / "hole.png", hole)
    words = [str(tmp_path / "crop.png"), "--hole", str(tmp_path / "hole.png"), "--model", str(tmp_path / "a.onnx")]
    words += ["--output", str(tmp_path / "result.png")]
    done = without_torch(f"from examples.mask_removal.onnx_inference import main; sys.exit(main({words}))")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    result = read_photo(tmp_path / "result.png")
    expected = fill(OnnxGenerator(tmp_path / "a.onnx"), picture(), hole[..., 0] > 0)
    assert np.array_equal(result, expected)
    again = without_torch(f"from examples.mask_removal.onnx_inference import main; sys.exit(main({words}))")
    assert again.returncode == 2 and "exists already" in again.stderr and again.stderr.count("\n") == 1
    refused = without_torch("import torch")
    assert "torch is not here" in refused.stderr  # the refusal works


def test_the_command_names_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    Image.fromarray(picture()).save(tmp_path / "crop.png")
    words = [str(tmp_path / "crop.png"), "--hole", str(tmp_path / "none.png"), "--output", str(tmp_path / "r.png")]
    assert main(words) == 2
    assert "none.png" in capsys.readouterr().err
    assert main([*words, "--known", str(tmp_path / "crop.png")]) == 2
    assert "--known says where the reference shows something. Pass --reference too." in capsys.readouterr().err


def test_remove_wants_a_file_of_the_same_model(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    model = tmp_path / "model"
    save_model(InpaintGenerator(2, reference=False), model)
    write_photo(tmp_path / "photo.png", picture(200, 200))
    command = [str(tmp_path / "photo.png"), "--output", str(tmp_path / "r.png"), "--engine", "onnx"]
    command += ["--model", str(model)]
    assert remove.main(command) == 2
    assert f"Write it once: python -m examples.mask_removal.export_onnx --model {model}" in capsys.readouterr().err
    drawn(model / "generator.onnx", reference=False, **{MODEL_KEY: "of another model"})
    assert remove.main(command) == 2
    assert "was not made from the model beside it" in capsys.readouterr().err
    drawn(model / "generator.onnx", reference=False, **{MODEL_KEY: export_onnx.model_hash(model)})
    assert remove.main(command) == 2
    assert "no face found" in capsys.readouterr().err  # the engine is there now
    config = model / "config.json"
    config.write_text(config.read_text().replace("}", ', "self_ensemble": true}'))
    assert remove.main(command) == 2
    assert "was not made from the model beside it" in capsys.readouterr().err
    drawn(model / "generator.onnx", reference=False, **{MODEL_KEY: export_onnx.model_hash(model)})
    assert remove.main([*command, "--device", "cuda"]) == 2
    assert "--engine onnx runs on the CPU" in capsys.readouterr().err


def test_remove_fills_by_the_file(tmp_path: Path, photo: np.ndarray, landmarker: FaceLandmarker) -> None:
    generator = OnnxGenerator(drawn(tmp_path / "a.onnx", reference=False), threads=1)
    hole = np.zeros(photo.shape[:2], bool)
    hole[140:180, 200:260] = True
    removal = remove_mask(photo, generator, landmarker, hole=hole)
    assert np.array_equal(removal.photo[~hole], photo[~hole])
    lighter = removal.photo[hole].astype(int) - photo[hole]
    assert lighter.mean() > 5  # image + mask is lighter in the hole; the paste takes the step at its border back


def test_export_refuses_before_it_works(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "there.onnx").write_bytes(b"precious")
    assert export_onnx.main(["--output", str(tmp_path / "there.onnx")]) == 2
    assert export_onnx.main(["--output", str(tmp_path / "a.txt")]) == 2
    assert export_onnx.main(["--model", str(tmp_path), "--output", str(tmp_path / "a.onnx")]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 3 and all(line.startswith("export_onnx: ") for line in errors)
    assert (tmp_path / "there.onnx").read_bytes() == b"precious"


@pytest.mark.slow
def test_the_default_weights_without_torch_as_with_it(
    tmp_path: Path, photo: np.ndarray, landmarker: FaceLandmarker, capsys: pytest.CaptureFixture
) -> None:
    model = tmp_path / "model"
    shutil.copytree(WEIGHTS, model, ignore=shutil.ignore_patterns("*.onnx"))
    assert export_onnx.main(["--model", str(model)]) == 0
    generator, expected = load_default(), {}
    for number, (height, width, guided) in enumerate(
        [(128, 128, False), (128, 128, True), (96, 160, True), (131, 77, False)]
    ):
        image = photo_to_image(np.ascontiguousarray(cv2.resize(photo[:256, 100:356], (width, height))))
        mask = torch.zeros(1, 1, height, width)
        mask[..., height // 2 : height * 7 // 8, width // 4 : width * 3 // 4] = 1
        inputs = [image, mask, *([image.flip(-1), torch.ones_like(mask)] if guided else [])]
        with torch.inference_mode():
            expected[number] = generator(*inputs)
        np.savez(tmp_path / f"{number}.npz", *(x.numpy() for x in inputs))
    done = without_torch(
        f"""
import numpy as np
from examples.mask_removal.onnx_inference import OnnxGenerator
generator = OnnxGenerator({str(model / "generator.onnx")!r})
for number in range({len(expected)}):
    arrays = np.load(f"{tmp_path}/{{number}}.npz")
    np.savez(f"{tmp_path}/{{number}}-result.npz", *generator(*(arrays[name] for name in arrays.files)))
assert "torch" not in sys.modules
"""
    )
    assert done.returncode == 0, done.stderr
    for number, stages in expected.items():
        found = np.load(tmp_path / f"{number}-result.npz")
        for name, stage in zip(found.files, stages[:2], strict=True):
            assert 127.5 * np.abs(found[name] - stage.numpy()).max() <= 1e-3  # grey levels

    masked, _ = draw_face_mask(photo, landmarker.detect(photo)[0].landmarks)
    write_photo(tmp_path / "masked.png", masked)
    for engine in ("torch", "onnx"):
        command = [str(tmp_path / "masked.png"), "--output", str(tmp_path / f"{engine}.png"), "--model", str(model)]
        assert remove.main([*command, "--engine", engine]) == 0
    by_torch, by_onnx = (read_photo(tmp_path / f"{engine}.png").astype(int) for engine in ("torch", "onnx"))
    assert np.abs(by_torch - by_onnx).max() <= 2  # a pixel that lies between two levels may be rounded otherwise
    assert not np.array_equal(by_torch, masked)

    capsys.readouterr()
    assert engines.main(["--model", str(model), "--sizes", "64"], repeats=1) == 0
    header, _, line = capsys.readouterr().out.splitlines()
    assert line.startswith("| 64² | ") and line.count("|") == header.count("|")
    assert float(line.split("|")[-2]) <= 1e-3


def test_pictures_are_read_as_they_are_meant(tmp_path: Path) -> None:
    rows = np.repeat(np.arange(20, dtype=np.uint8)[:, None], 31, 1)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(rows).rotate(90, expand=True).save(tmp_path / "turned.png", exif=exif)
    assert np.array_equal(onnx_inference._read(tmp_path / "turned.png")[..., 0], rows)
    Image.fromarray(np.full((20, 31), 600, np.uint16)).save(tmp_path / "deep.png")
    assert (onnx_inference._read(tmp_path / "deep.png") == 2).all()
    Image.new("RGBA", (31, 20)).save(tmp_path / "clear.png")
    with pytest.raises(ValueError, match="clear.png: expected a picture without transparency; got mode RGBA"):
        onnx_inference._read(tmp_path / "clear.png")
    (tmp_path / "bomb.png").write_bytes(png_of_size(30_000, 30_000))
    with pytest.raises(ValueError, match="bomb.png: too many pixels for a crop"):
        onnx_inference._read(tmp_path / "bomb.png")
