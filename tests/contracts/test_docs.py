"""The pages that a reader starts from: their code runs, and the site asks nothing of another server."""

import doctest
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=name)
def test_python_blocks_run(page: Path) -> None:
    names: dict[str, object] = {}
    for block in blocks(page, "python"):
        exec(compile(block, str(page), "exec"), names)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "pycon")], ids=name)
def test_console_blocks_print_what_they_show(page: Path) -> None:
    runner = doctest.DocTestRunner()
    for block in blocks(page, "pycon"):
        runner.run(doctest.DocTestParser().get_doctest(block, {}, name(page), str(page), 0))
    assert runner.summarize().attempted > 0
    assert runner.summarize().failed == 0


def test_readme_starts_with_code_that_runs() -> None:
    assert blocks(ROOT / "README.md", "python")


def test_readme_points_at_files_that_exist() -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)]+)\)", (ROOT / "README.md").read_text("utf-8"))
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


class Requests(HTMLParser):
    """Collects what a browser loads by itself: every src and srcset, and every href but that of a link to click."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for key, value in attributes:
            if key in {"src", "srcset", "poster", "data"} or (key == "href" and tag != "a"):
                self.found.append(value or "")


def outside_requests(html: str) -> list[str]:
    parser = Requests()
    parser.feed(html)
    return [address for address in parser.found if re.match(r"(https?:)?//", address)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(target)]
    build = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    )
    assert build.returncode == 0, build.stderr
    return target


def test_site_asks_nothing_of_another_server(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) >= len(list((ROOT / "docs").rglob("*.md")))
    assert {str(page): found for page in pages if (found := outside_requests(page.read_text("utf-8")))} == {}
    for sheet in site.rglob("*.css"):
        assert re.findall(r"(?:@import\s+|url\()['\"]?(?:https?:)?//", sheet.read_text("utf-8")) == [], sheet


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


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ('<script src="https://a.test/x.js"></script>', ["https://a.test/x.js"]),
        ('<link rel="stylesheet" href="//a.test/x.css">', ["//a.test/x.css"]),
        ('<img src="assets/x.png"><a href="https://a.test">a</a>', []),
    ],
)
def test_outside_requests_are_seen(html: str, found: list[str]) -> None:
    assert outside_requests(html) == found
