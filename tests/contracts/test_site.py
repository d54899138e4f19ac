"""The built site: its links, what it loads, and that it works in a browser."""

import functools
import importlib.util
import re
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SPEC = importlib.util.spec_from_file_location("check_site", ROOT / "docs/_build/check_site.py")
check_site = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(check_site)


def test_every_link_leads_somewhere_and_nothing_is_asked_of_another_server(site: Path) -> None:
    assert len(list(site.rglob("*.html"))) >= len(list((ROOT / "docs").rglob("*.md")))
    assert check_site.problems(site) == []


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ('<script src="https://a.test/x.js"></script>', ["https://a.test/x.js"]),
        ('<link rel="stylesheet" href="//a.test/x.css">', ["//a.test/x.css"]),
        ('<img src="assets/x.png"><a href="https://a.test">a</a>', []),
    ],
)
def test_outside_requests_are_seen(html: str, found: list[str]) -> None:
    assert check_site.outside(html) == found


def test_what_is_wrong_with_a_site_is_seen(tmp_path: Path) -> None:
    assert check_site.problems(tmp_path) == [f"{tmp_path}: no pages"]
    (tmp_path / "a").mkdir()
    (tmp_path / "a/index.html").write_text('<h1 id="here">A</h1><a href="../b/#there">b</a><a href="#here">up</a>')
    (tmp_path / "index.html").write_text(
        '<a href="a/">fine</a><a href="a/#here">fine</a><a href="https://a.test/x">outside, to be clicked</a>'
        '<a href="a/#gone">no place</a><img src="x.png"><a href="../secret">out of the site</a>'
    )
    (tmp_path / "x.css").write_text("@import url(https://a.test/y.css); p { background: url(data:x) }")
    assert check_site.problems(tmp_path) == [
        "a/index.html: ../b/#there: no such file",
        "index.html: x.png: no such file",
        "index.html: a/#gone: no such place",
        "index.html: ../secret: no such file",
        "x.css: asks another server for url(https://a.test/y.css",
    ]


def test_a_figure_leads_to_itself_in_full_size(site: Path) -> None:
    figures = []
    for page in site.rglob("*.html"):
        for link, source in re.findall(r'(<a href="[^"]+">)?<img [^>]*src="([^"]+)"', page.read_text("utf-8")):
            assert link == f'<a href="{source}">', page
            figures.append(source)
    assert len(figures) > 10


def test_signatures_name_nothing_private(site: Path) -> None:
    signatures = 0
    for page in (site / "api").rglob("*.html"):
        for signature in re.findall(r'class="doc-signature.*?</div>', page.read_text("utf-8"), re.DOTALL):
            text = re.sub(r"<[^>]+>", "", signature)
            assert not re.search(r"\b_[a-zA-Z]", text), text
            signatures += 1
    assert signatures > 100


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.mark.browser
def test_the_site_works_in_a_browser_and_asks_nothing_of_other_servers(browser: Any, address: str, site: Path) -> None:
    tab = browser.new_page()
    asked, errors = [], []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("response", lambda response: errors.append(response.url) if response.status >= 400 else None)
    formulas = figures = 0
    for page in sorted(site.rglob("index.html")):
        where = page.parent.relative_to(site).as_posix()
        tab.goto(address if where == "." else f"{address}{where}/", wait_until="load")
        assert tab.locator(".arithmatex:not(:has(.katex))").count() == 0, where  # every formula is set
        assert tab.locator(".katex-error").count() == 0, where
        formulas += tab.locator(".arithmatex .katex").count()
        for picture in tab.locator("article img").all():
            picture.scroll_into_view_if_needed()
            assert picture.evaluate("img => img.decode().then(() => img.naturalWidth)") > 0, where
            figures += 1
    assert formulas > 20 and figures > 10

    tab.goto(address)
    tab.locator("input.md-search__input").click()
    tab.keyboard.type("spectral")
    result = tab.locator(".md-search-result__item a").first
    result.wait_for()
    with tab.expect_navigation():
        result.click()
    assert "spectral" in tab.inner_text("article").lower()
    outside = [url for url in asked if not url.startswith((address, "data:", "blob:"))]
    assert outside == [] and errors == []
    tab.close()


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
def test_the_front_page_fits_the_screen(browser: Any, address: str, width: int) -> None:
    tab = browser.new_page(viewport={"width": width, "height": 900})
    for page in ("", "tour/", "troubleshooting/", "guide/gated-convolution/"):
        tab.goto(address + page)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width, page
    tab.close()
