"""Who may import whom, read from the source: nothing is imported here, so nothing can hide behind a lazy import."""

import ast
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Each part of the package, and the other parts it may import. A part may always import itself.
ALLOWED = {
    "_autocast": set(),
    "_checks": set(),
    "_conv2d": {
        "_checks",
        "_dilated_conv2d",
        "_filtering_choice",
        "_memory",
        "_minimal_filtering",
        "_narrow_conv2d",
        "_processor",
        "_tiles",
    },
    "_dilated_conv2d": {"_processor", "_tiles"},
    "_filtering_choice": {"_processor", "_products"},
    "_memory": set(),
    "_minimal_filtering": {"_products", "_tiles"},
    "_narrow_conv2d": set(),
    "_optional": set(),
    "_processor": set(),
    "_products": {"_processor"},
    "_tiles": set(),
    "_weights_file": set(),
    "image": {"_checks", "_optional"},
    "masks": {"_checks", "_optional"},
    "layers": {"_conv2d", "_filtering_choice", "_checks", "_memory", "_optional", "_products"},
    "warp": {"_checks", "_optional"},
    "models": {"_conv2d", "layers", "masks", "_checks", "_optional", "_weights_file"},
    "losses": {"_autocast", "_conv2d", "image", "_checks", "_optional", "_weights_file"},
    "faces": {"warp", "masks", "image", "_checks", "_optional"},
    "metrics": {"_autocast", "_conv2d", "image", "masks", "_checks", "_optional", "_weights_file"},
    "export": {"_checks", "_optional"},
    "__init__": {"layers", "models", "losses", "warp", "masks", "image"},
}
LIGHT = {"torch", "numpy", "typing_extensions"}
OUTSIDE = {  # what else from outside a module may import, where it is more or less than LIGHT
    "gatedinpaint._checks": {"torch"},
    "gatedinpaint._optional": {"torch"},
    "gatedinpaint._weights_file": LIGHT | {"safetensors"},
    "gatedinpaint.models.io": LIGHT | {"safetensors"},
}
FOLDERS = {  # other top-level packages of this repository, and which of their modules they may import
    "examples": ("examples",),
    "benchmarks": ("benchmarks", "examples.mask_removal"),
}


class Import(NamedTuple):
    line: int
    module: str
    names: tuple[str, ...]  # () for `import module`
    at_runtime: bool  # False under `if TYPE_CHECKING:`


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(source: str, module: str, *, is_package: bool = False) -> Iterator[Import]:
    """Every import statement of ``source``, wherever it stands, with relative names made absolute."""

    def visit(node: ast.AST, at_runtime: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(node.lineno, alias.name, (), at_runtime)
        elif isinstance(node, ast.ImportFrom):
            above = module.split(".")
            keep = len(above) - node.level + is_package
            base = ".".join([*above[:keep], node.module or ""]).strip(".") if node.level else str(node.module)
            yield Import(node.lineno, base, tuple(alias.name for alias in node.names), at_runtime)
        elif isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            for child in node.body:
                yield from visit(child, False)
            for child in node.orelse:
                yield from visit(child, at_runtime)
        else:
            for child in ast.iter_child_nodes(node):
                yield from visit(child, at_runtime)

    yield from visit(ast.parse(source), True)


def eager_requires(source: str) -> Iterator[int]:
    """Lines of ``require(...)`` calls that run while the module itself is imported."""

    def visit(node: ast.AST) -> Iterator[int]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            return
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in {"require", "import_module"}:
            yield node.lineno
        for child in ast.iter_child_nodes(node):
            yield from visit(child)

    yield from visit(ast.parse(source))


def parts_reached(found: Import) -> set[str]:
    """The parts of the package that an import of ``gatedinpaint...`` reaches."""
    steps = found.module.split(".")
    if len(steps) > 1:
        return {steps[1]}
    return {name if name in ALLOWED else "__init__" for name in found.names} or {"__init__"}


def package_violations(source: str, module: str, *, is_package: bool = False) -> list[str]:
    part = [*module.split("."), "__init__"][1]
    if part not in ALLOWED:
        return [f"{module}: is no part of the import map; add {part} to ALLOWED in {Path(__file__).name}"]
    problems = []
    for found in imports_of(source, module, is_package=is_package):
        where, top = f"{module}, line {found.line}", found.module.split(".")[0]
        if top == "gatedinpaint":
            for other in sorted(parts_reached(found) - ALLOWED[part] - {part}):
                problems.append(f"{where}: {part} may not import {other}")
        elif top in {"examples", "benchmarks", "tests"}:
            problems.append(f"{where}: the package may not import {top}")
        elif found.at_runtime and top not in OUTSIDE.get(module, LIGHT) | sys.stdlib_module_names:
            problems.append(f"{where}: {top} must come from _optional.require, inside the function that needs it")
    if module != "gatedinpaint._optional":
        problems += [f"{module}, line {line}: require() runs at import time" for line in eager_requires(source)]
    return problems


def folder_violations(source: str, module: str, *, is_package: bool = False) -> list[str]:
    folder = module.split(".")[0]
    problems = []
    for found in imports_of(source, module, is_package=is_package):
        where, steps = f"{module}, line {found.line}", found.module.split(".")
        if steps[0] == "gatedinpaint":
            if len(steps) > 2 or any(step.startswith("_") for step in steps):
                problems.append(f"{where}: {found.module} is private; import the name from gatedinpaint.{steps[1]}")
                continue
            public = getattr(importlib.import_module(found.module), "__all__", [])
            for name in found.names:
                if name not in public and not (len(steps) == 1 and name in ALLOWED and not name.startswith("_")):
                    problems.append(f"{where}: {name} is no public name of {found.module}")
        elif steps[0] in {*FOLDERS, "tests"}:
            # `from examples import mask_removal` names its module in the second half.
            targets = [f"{found.module}.{name}" for name in found.names] or [found.module]
            for target in targets:
                if not any(f"{target}.".startswith(f"{allowed}.") for allowed in FOLDERS[folder]):
                    problems.append(f"{where}: {folder} may not import {target}")
    return problems


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("path", sources("gatedinpaint"), ids=module_name)
def test_package_follows_the_map(path: Path) -> None:
    is_package = path.name == "__init__.py"
    assert package_violations(path.read_text("utf-8"), module_name(path), is_package=is_package) == []


@pytest.mark.parametrize("path", [path for folder in FOLDERS for path in sources(folder)], ids=module_name)
def test_examples_and_benchmarks_use_public_names(path: Path) -> None:
    is_package = path.name == "__init__.py"
    assert folder_violations(path.read_text("utf-8"), module_name(path), is_package=is_package) == []


@pytest.mark.parametrize(
    ("module", "source", "problem"),
    [
        (
            "gatedinpaint.losses.style",
            "from gatedinpaint.models import InpaintGenerator",
            "losses may not import models",
        ),
        ("gatedinpaint.losses.style", "from ..models import InpaintGenerator", "losses may not import models"),
        ("gatedinpaint.losses.style", "from .. import faces", "losses may not import faces"),
        ("gatedinpaint.losses.style", "from gatedinpaint import gram_matrix", "losses may not import __init__"),
        ("gatedinpaint.losses.style", "def f():\n    import gatedinpaint.metrics", "losses may not import metrics"),
        ("gatedinpaint.models.io", "from gatedinpaint.image import read_photo", "models may not import image"),
        ("gatedinpaint.warp.tps", "from examples.quickstart import main", "the package may not import examples"),
        ("gatedinpaint.faces.align", "import cv2", "cv2 must come from _optional.require"),
        ("gatedinpaint.faces.align", "def f():\n    import cv2", "cv2 must come from _optional.require"),
        ("gatedinpaint.models.generator", "import safetensors", "safetensors must come from _optional.require"),
        ("gatedinpaint._checks", "import numpy", "numpy must come from _optional.require"),
        ("gatedinpaint.faces.align", "cv2 = require('cv2', 'faces')", "require() runs at import time"),
        ("gatedinpaint.novelty", "", "is no part of the import map"),
    ],
)
def test_checker_sees_a_violation(module: str, source: str, problem: str) -> None:
    (message,) = package_violations(source, module)
    assert problem in message


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("gatedinpaint.losses.style", "import math\nimport torch\nfrom .features import VGGFeatures"),
        (
            "gatedinpaint.models.io",
            "from safetensors.torch import save_file\nfrom gatedinpaint.layers import SPDResBlock",
        ),
        ("gatedinpaint.faces.align", "def f():\n    cv2 = require('cv2', 'faces')"),
        ("gatedinpaint.faces.align", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from PIL import Image"),
    ],
)
def test_checker_lets_the_rest_pass(module: str, source: str) -> None:
    assert package_violations(source, module) == []


@pytest.mark.parametrize(
    ("module", "source", "problem"),
    [
        ("examples.quickstart", "from gatedinpaint._checks import check_image", "is private"),
        ("examples.quickstart", "from gatedinpaint.layers.gated_conv import GatedConv2d", "is private"),
        (
            "examples.quickstart",
            "from gatedinpaint.layers import torch",
            "torch is no public name of gatedinpaint.layers",
        ),
        ("examples.quickstart", "from benchmarks import speed", "examples may not import benchmarks.speed"),
        ("benchmarks.speed", "from examples import quickstart", "benchmarks may not import examples.quickstart"),
    ],
)
def test_checker_sees_a_private_name(module: str, source: str, problem: str) -> None:
    (message,) = folder_violations(source, module)
    assert problem in message


def test_benchmarks_may_use_the_mask_removal_example() -> None:
    source = "from examples.mask_removal.pipeline import remove_mask\nfrom gatedinpaint import faces"
    assert folder_violations(source, "benchmarks.quality") == []
