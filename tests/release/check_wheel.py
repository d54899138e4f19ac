"""The wheel alone in a new environment: what it promises without any extra, and what each extra's absence says.

    python -m build                                        # dist/*.tar.gz, and from it dist/*.whl
    python -m tests.release.check_wheel dist/*.whl         # links this environment's torch into the new one
    python -m tests.release.check_wheel --download dist/*.whl

Without ``--download`` torch, numpy, safetensors, typing-extensions and what those need are links to the packages of the
running environment, and nothing else is there.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import venv
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

REQUIRED = ("torch", "numpy", "safetensors", "typing-extensions")

SMOKE = r"""
import importlib.metadata, pathlib, sys, tempfile
import torch
import gatedinpaint
from gatedinpaint import GatedConv2d, InpaintGenerator, VGGFeatures, composite, load_model, read_photo, save_model

place = pathlib.Path(gatedinpaint.__file__).parent
assert place.is_relative_to(sys.prefix), place
assert importlib.metadata.version("gatedinpaint") == gatedinpaint.__version__
assert (place / "py.typed").is_file()
missing = [name for name in gatedinpaint.__all__ if not hasattr(gatedinpaint, name)]
assert not missing, missing
for folder in ("examples", "tests", "benchmarks"):
    assert not (place.parent / folder).exists(), folder

image, mask = torch.rand(1, 3, 64, 64) * 2 - 1, torch.zeros(1, 1, 64, 64)
mask[..., 20:44, 16:48] = 1
assert GatedConv2d(4, 8, 3)(torch.cat([image, mask], 1)).shape == (1, 8, 64, 64)
generator = InpaintGenerator(2, reference=False).eval()
with torch.no_grad():
    result = composite(generator(image, mask).refined, image, mask)
assert torch.equal(result * (1 - mask), image * (1 - mask))
with tempfile.TemporaryDirectory() as folder:
    save_model(generator, folder)
    with torch.no_grad():
        assert torch.equal(load_model(folder)(image, mask).refined, generator(image, mask).refined)

import gatedinpaint.export, gatedinpaint.faces, gatedinpaint.metrics
import numpy as np

def needs(extra, call):
    try:
        call()
    except ImportError as error:
        assert f'pip install "gatedinpaint[{extra}]"' in str(error), error
    else:
        raise AssertionError(f"{extra}: no error")

with tempfile.TemporaryDirectory() as folder:
    photo = pathlib.Path(folder, "photo.png")
    photo.write_bytes(b"any")
    needs("faces", lambda: read_photo(photo))
    needs("onnx", lambda: gatedinpaint.export.export_onnx(generator, pathlib.Path(folder, "a.onnx")))
needs("faces", lambda: gatedinpaint.faces.FaceLandmarker().detect(np.zeros((64, 64, 3), np.uint8)))
needs("losses", lambda: VGGFeatures())
needs("metrics", lambda: gatedinpaint.metrics.LPIPS("alex"))
needs("hub", lambda: InpaintGenerator.from_pretrained("owner/name"))
print("gatedinpaint", gatedinpaint.__version__, "works from its wheel")
"""


def check(wheel: Path, *, download: bool = False) -> str:
    """Install the wheel into a new environment and use it; return what that printed.

    Raises:
        RuntimeError: something failed; the message is its output.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "env"
        venv.create(place, with_pip=True)
        python = place / "bin" / "python"
        if not download:
            (packages,) = (place / "lib").glob("python*/site-packages")
            _link(packages)
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run([str(python), *install, *([] if download else ["--no-deps"]), str(wheel.resolve())], folder)
        _run([str(python), "-m", "pip", "check"], folder)
        return _run([str(python), "-I", "-W", "error::DeprecationWarning:gatedinpaint", "-c", SMOKE], folder)


def _link(packages: Path) -> None:
    """Put what the wheel requires into another environment, with all that this needs itself."""
    todo, done = list(REQUIRED), set()
    while todo:
        name = todo.pop().lower().replace("_", "-")
        if name in done:
            continue
        done.add(name)
        try:
            found = distribution(name)
        except PackageNotFoundError:  # asked for on other systems only
            continue
        todo += _requirements(found)
        for part in {file.parts[0] for file in found.files or [] if file.parts[0] not in ("..", "__pycache__")}:
            source, target = Path(str(found.locate_file(part))), packages / part
            if (
                source.is_dir() and target.is_dir() and not target.is_symlink()
            ):  # several share a folder, as nvidia's do
                for child in source.iterdir():
                    if not (target / child.name).exists():
                        (target / child.name).symlink_to(child)
            elif not target.exists():
                target.symlink_to(source.resolve())


def _requirements(found: Distribution) -> list[str]:
    return [re.split(r"[\s\[;<>=!~(]", line, maxsplit=1)[0] for line in found.requires or [] if "extra ==" not in line]


def _run(command: list[str], folder: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)[:200]}\n{done.stdout}{done.stderr}")
    return done.stdout


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Install a wheel alone into a new environment and use it.")
    parser.add_argument("wheels", nargs="+", type=Path)
    parser.add_argument("--download", action="store_true", help="get torch and the others from the package index")
    options = parser.parse_args(arguments)
    for wheel in options.wheels:
        try:
            print(check(wheel, download=options.download), end="")
        except RuntimeError as error:
            print(error, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
