"""Check the built site: every link within it leads somewhere, and no page asks anything of another server.

python docs/_build/check_site.py site
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_OUTSIDE = re.compile(r"(https?:)?//")
_IN_STYLE = re.compile(r"(?:@import\s+|url\()['\"]?(?:https?:)?//[^'\")\s]*")


class Page(HTMLParser):
    """What a page of the site loads by itself, what it links to, and the places in it that can be linked to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Collect; ``srcset`` and ``data`` are among what a browser loads, an ``href`` unless one has to click it."""
        for key, value in attributes:
            if key in {"src", "srcset", "poster", "data"} or (key == "href" and tag not in ("a", "area")):
                self.loads.append(value or "")
            elif key == "href":
                self.links.append(value or "")
            elif key == "id" or (key == "name" and tag == "a"):
                self.places.add(value or "")


def outside(text: str) -> list[str]:
    """The addresses on other servers that a page would ask for by itself."""
    return [address for address in Page(text).loads if _OUTSIDE.match(address)]


def problems(site: Path) -> list[str]:
    """One line for every broken link and every request to another server, none for a good site."""
    pages = {path: Page(path.read_text("utf-8")) for path in sorted(site.rglob("*.html"))}
    found = [] if pages else [f"{site}: no pages"]
    for path, page in pages.items():
        if path.name == "404.html":  # served at any depth: its addresses are those of the server's root
            continue
        where = path.relative_to(site)
        found += [f"{where}: asks another server for {address}" for address in page.loads if _OUTSIDE.match(address)]
        for address in page.loads + page.links:
            if reason := _broken(address, path, site, pages):
                found.append(f"{where}: {address}: {reason}")
    for sheet in sorted(site.rglob("*.css")):
        asked = _IN_STYLE.findall(sheet.read_text("utf-8"))
        found += [f"{sheet.relative_to(site)}: asks another server for {address}" for address in asked]
    return found


def _broken(address: str, path: Path, site: Path, pages: dict[Path, Page]) -> str:
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return ""
    target = path
    if parts.path:
        target = (path.parent / unquote(parts.path)).resolve()
        if target.is_dir():
            target /= "index.html"
        if not target.is_relative_to(site.resolve()) or not target.is_file():
            return "no such file"
    fragment = unquote(parts.fragment)
    in_target = {page.resolve(): places for page, places in pages.items()}.get(target.resolve())
    return "no such place" if fragment and in_target and fragment not in in_target.places else ""


def main() -> int:
    """Print the problems; the exit code is 1 where there are any."""
    site = Path(sys.argv[1] if len(sys.argv) > 1 else "site")
    found = problems(site)
    print("\n".join(found) or f"{site}: every link leads somewhere, nothing is asked of another server.")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
