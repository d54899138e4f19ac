"""The commands that the pages print exist, with every option that they show."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = re.compile(r"python -m ((?:examples|benchmarks|tests)\.[\w.]*\w)(.*)|(?:torchrun .*)-m (examples\.[\w.]*\w)(.*)")


def pages() -> list[Path]:
    places = [ROOT, *(ROOT / name for name in ("docs", "examples", "benchmarks"))]
    return sorted({page for place in places for page in place.glob("*.md" if place == ROOT else "**/*.md")})


def commands() -> dict[str, set[str]]:
    """For every module that a page runs, the options that it is given anywhere."""
    found: dict[str, set[str]] = {}
    for page in pages():
        for block in re.findall(r"^```console\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                if match := OURS.search(line):
                    module, words = (part for part in match.groups() if part is not None)
                    options = re.findall(r"(?<=\s)--[a-z][\w.-]*", re.sub(r"\s#.*", "", words))
                    found.setdefault(module, set()).update(options)
    return found


COMMANDS = commands()


def test_pages_print_commands() -> None:
    assert {f"examples.mask_removal.{name}" for name in ("prepare", "train", "evaluate", "remove", "app")} <= set(
        COMMANDS
    )
    assert "--weights.lpips-vgg" in COMMANDS["examples.mask_removal.train"]
    assert "--samples-per-shard" in COMMANDS["examples.mask_removal.prepare"]


@pytest.mark.parametrize("module", COMMANDS)
def test_the_command_exists_with_its_options(module: str, capsys: pytest.CaptureFixture) -> None:
    assert (ROOT / f"{module.replace('.', '/')}.py").is_file()
    if COMMANDS[module]:
        with pytest.raises(SystemExit) as stop:
            importlib.import_module(module).main(["--help"])
        assert stop.value.code == 0
        described = set(re.findall(r"--[a-z][\w.-]*", capsys.readouterr().out))
        assert COMMANDS[module] - described == set()


def test_links_between_the_pages_of_the_repository_lead_somewhere() -> None:
    """Pages outside the site; ``mkdocs build --strict`` and ``check_site.py`` look at the others."""
    links = 0
    for page in pages():
        if ROOT / "docs" in page.parents:
            continue
        for link in re.findall(r"\]\((?!https?://)([^)]+)\)", page.read_text("utf-8")):
            path, _, place = link.partition("#")
            target = page.parent / path if path else page
            assert target.exists(), f"{page}: {link}"
            if place:
                assert place in places(target), f"{page}: {link}"
            links += 1
    assert links > 10


def test_the_reading_order_of_the_example_names_every_file() -> None:
    folder = ROOT / "examples/mask_removal"
    named = set(re.findall(r"`(\w+\.py)`", (folder / "README.md").read_text("utf-8")))
    assert named == {path.name for path in folder.glob("*.py")} - {"__init__.py"}


def places(page: Path) -> set[str]:
    """Where a link can point to within a page: its headings, as GitHub and mkdocs name them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
