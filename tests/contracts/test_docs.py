"""The pages that a reader starts from: their code runs, and the site is built from them."""

import contextlib
import doctest
import io
import re
from pathlib import Path

import pytest

from tests.shown import assert_shown

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=name)
def test_python_blocks_run_and_print_what_is_shown_under_them(page: Path) -> None:
    names: dict[str, object] = {}
    pairs = re.findall(r"^```python\n(.*?)^```$(?:\n\n```text\n(.*?)^```$)?", page.read_text("utf-8"), re.M | re.S)
    assert [block for block, _ in pairs] == blocks(page, "python")
    for block, shown in pairs:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(block, str(page), "exec"), names)
        if shown:
            assert_shown(shown, printed.getvalue())


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "pycon")], ids=name)
def test_console_blocks_print_what_they_show(page: Path) -> None:
    runner = doctest.DocTestRunner()
    for block in blocks(page, "pycon"):
        runner.run(doctest.DocTestParser().get_doctest(block, {}, name(page), str(page), 0))
    assert runner.summarize().attempted > 0
    assert runner.summarize().failed == 0


def test_every_measured_table_is_shown_and_there() -> None:
    shown = {line for page in PAGES for line in re.findall(r'^--8<-- "(.+)"$', page.read_text("utf-8"), re.MULTILINE)}
    shown |= {  # pages show what a table of quality's own making holds; see docs/_build/figures.py
        f"benchmarks/results/{Path(line).stem}.md" for line in shown if line.startswith("docs/assets/generated/quality")
    }
    committed = {name(path) for path in (ROOT / "benchmarks/results").glob("*.md")}
    assert committed
    assert committed - shown == set()
    assert [path for path in shown if path.startswith("benchmarks/") and not (ROOT / path).is_file()] == []


def test_readme_starts_with_code_that_runs() -> None:
    assert blocks(ROOT / "README.md", "python")


def test_formulas_find_their_fonts(site: Path) -> None:
    sheet = site / "assets/katex/katex.min.css"
    fonts = set(re.findall(r"url\(([^)]+)\)", sheet.read_text("utf-8")))
    assert fonts
    assert [font for font in fonts if not (sheet.parent / font).is_file()] == []


def test_site_reads_docstrings_as_markdown(site: Path) -> None:
    pages = {page: page.read_text("utf-8") for page in (site / "api").rglob("*.html")}
    assert any('class="arithmatex"' in text for text in pages.values())
    for page, text in pages.items():
        assert not re.search(r"\.\. math::|:(?:func|class|meth|math):|<blockquote>\s*<blockquote>", text), page
