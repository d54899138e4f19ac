"""A tab of a browser with the page in it."""

import re
from pathlib import Path
from typing import Any

import numpy as np

from gatedinpaint import read_photo


class Tab:
    """One tab with the page, and all that it asked of any server or wrote to its console."""

    def __init__(self, browser: Any, url: str, *, width: int = 1280, height: int = 900, **options: Any) -> None:
        self.context = browser.new_context(
            viewport={"width": width, "height": height}, accept_downloads=True, **options
        )
        self.tab = self.context.new_page()
        self.url, self.requests, self.errors = url, [], []
        self.tab.set_default_timeout(20_000)
        self.tab.on("request", lambda request: self.requests.append(request.url))
        self.tab.on("pageerror", lambda error: self.errors.append(str(error)))
        self.tab.on("console", lambda line: self.errors.append(line.text) if line.type == "error" else None)
        self.tab.goto(url)
        self.tab.wait_for_selector("#take-off")
        self.tab.wait_for_function("window.page && window.brush")

    def choose(self, photo: Path, role: str = "photo") -> None:
        self.tab.set_input_files(f'.drop[data-role="{role}"] input', photo)
        self.tab.wait_for_selector(f'.drop[data-role="{role}"].filled')

    def take_off(self) -> str:
        """Press the button; the sentence that comes."""
        return self._press("#take-off")

    def fill(self) -> str:
        return self._press("#fill")

    def _press(self, button: str) -> str:
        answers = int(self.tab.evaluate("Number(document.body.dataset.answers || 0)"))
        self.tab.click(button)
        self.tab.wait_for_function(f"document.body.dataset.answers === '{answers + 1}'")
        return str(self.tab.inner_text("#status p"))

    def shows(self, what: str) -> bool:
        return bool(self.tab.is_visible(what))

    def wait_for_result(self) -> None:
        self.tab.wait_for_selector("body.has-result #download[href]")

    def download(self, folder: Path) -> tuple[str, np.ndarray]:
        with self.tab.expect_download() as download:
            self.tab.click("#download")
        path = folder / download.value.suggested_filename
        download.value.save_as(path)
        return path.name, read_photo(path)

    def draw(self, start: tuple[float, float], end: tuple[float, float], *, size: int = 60) -> None:
        """A stroke on the canvas, between places given as shares of its width and height."""
        self.tab.locator("#brush-size").fill(str(size))
        canvas = self.tab.locator("#canvas")
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
        self.tab.mouse.move(*places[0])
        self.tab.mouse.down()
        self.tab.mouse.move(*places[1], steps=8)
        self.tab.mouse.up()

    def holes(self) -> int:
        """How many pixels of the canvas are in the hole."""
        return int(
            self.tab.evaluate(
                "window.brush.picture().then((blob) => blob && createImageBitmap(blob)).then((picture) => {"
                "if (!picture) return 0; const c = new OffscreenCanvas(picture.width, picture.height).getContext('2d');"
                "c.drawImage(picture, 0, 0); const d = c.getImageData(0, 0, picture.width, picture.height).data;"
                "let n = 0; for (let i = 0; i < d.length; i += 4) n += d[i] > 127; return n; })"
            )
        )

    def outside(self) -> list[str]:
        return [url for url in self.requests if not re.match(rf"{re.escape(self.url)}/|blob:{self.url}|data:", url)]
