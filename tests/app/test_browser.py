"""The page in a real browser, as somebody would use it, rightly and wrongly."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from examples.mask_removal.pipeline import load_default, remove_mask
from gatedinpaint import read_photo
from gatedinpaint.faces import FaceLandmarker

pytestmark = pytest.mark.browser


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


@pytest.fixture
def tab(browser: Any, page: Any) -> Iterator[Tab]:
    opened = Tab(browser, page.url)
    yield opened
    opened.context.close()


def test_with_and_without_a_reference(
    tab: Tab, photos: Path, tmp_path: Path, masked: np.ndarray, landmarker: FaceLandmarker
) -> None:
    assert not tab.shows("#result") and not tab.shows("#hole") and not tab.shows("#fill")
    tab.choose(photos / "masked.png")
    assert "all are invented" in tab.take_off()
    tab.wait_for_result()
    name, alone = tab.download(tmp_path)
    assert name == "masked-unmasked.png"
    assert np.array_equal(alone, remove_mask(masked, load_default(), landmarker).photo)

    tab.choose(photos / "reference.jpg", "reference")
    assert "guided by the second photo" in tab.take_off()
    tab.wait_for_result()
    tab.tab.wait_for_function("document.querySelector('#result img.after').naturalWidth > 0")
    _, guided = tab.download(tmp_path)
    reference = read_photo(photos / "reference.jpg")
    expected = remove_mask(masked, load_default(), landmarker, reference=reference)
    assert np.array_equal(guided, expected.photo)
    assert np.array_equal(guided[~expected.hole], masked[~expected.hole])
    assert tab.errors == [] and tab.outside() == []


def test_before_and_after_and_the_whole_photo(tab: Tab, photos: Path) -> None:
    tab.choose(photos / "masked.png")
    tab.take_off()
    tab.wait_for_result()
    size = "document.querySelector('#result img.{}').naturalWidth"
    tab.tab.wait_for_function(f"{size.format('after')} > 0")
    close = tab.tab.evaluate(size.format("after"))
    assert close < 512
    slider = tab.tab.locator(".compare input")
    slider.focus()
    for _ in range(20):
        tab.tab.keyboard.press("ArrowLeft")
    clip = tab.tab.evaluate("getComputedStyle(document.querySelector('.compare .before')).clipPath")
    assert clip == "inset(0px 60% 0px 0px)"
    tab.tab.get_by_label("Whole photo").check()
    for part in ("before", "after", "origin"):
        tab.tab.wait_for_function(f"{size.format(part)} === 512")


def test_the_hole_is_corrected_by_brush(tab: Tab, photos: Path, tmp_path: Path, masked: np.ndarray) -> None:
    tab.choose(photos / "masked.png")
    tab.take_off()
    tab.wait_for_result()
    _, before = tab.download(tmp_path)
    found = tab.holes()
    tab.draw((0.35, 0.2), (0.65, 0.2))
    painted = tab.holes()
    assert painted > found + 500
    tab.tab.click("#undo")
    assert tab.holes() == found
    tab.draw((0.35, 0.2), (0.65, 0.2))
    tab.tab.get_by_label("Erase").check()
    tab.draw((0.4, 0.9), (0.6, 0.9))  # nothing is there
    assert tab.holes() == painted
    assert "1 face" in tab.fill()
    tab.wait_for_result()
    _, after = tab.download(tmp_path)
    old, new = ((result != masked).any(-1) for result in (before, after))
    assert (new & ~old).sum() == pytest.approx(painted - found, rel=0.1)
    assert np.flatnonzero(new.any(1))[0] < np.flatnonzero(old.any(1))[0]  # above the face mask

    tab.tab.click("#reset")
    tab.draw((0.0, 0.5), (1.0, 0.5), size=100)
    tab.tab.get_by_label("Erase").check()
    for y in (0.1, 0.25, 0.4, 0.55, 0.7, 0.85, 1.0):
        tab.draw((0.0, y), (1.0, y), size=100)
    assert "The hole is empty" in tab.fill()
    assert tab.errors == [] and tab.outside() == []


def test_a_face_without_a_face_mask_can_be_painted(tab: Tab, photos: Path, tmp_path: Path) -> None:
    tab.choose(photos / "bare.png")
    assert "No face mask was found" in tab.take_off()
    tab.tab.wait_for_selector("body.has-hole #canvas")
    assert tab.holes() == 0 and not tab.shows("#result")
    tab.draw((0.45, 0.6), (0.55, 0.6), size=80)
    assert "1 face" in tab.fill()
    tab.wait_for_result()
    _, result = tab.download(tmp_path)
    assert 500 < (result != read_photo(photos / "bare.png")).any(-1).sum() < 20_000


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("text.jpg", "text.jpg: cannot be read as a photo"),
        ("heavy.jpg", "heavy.jpg has 31 MB; at most 30 MB are taken"),
        ("wide.png", "wide.png: too many pixels; at most 50 megapixels are read"),
    ],
)
@pytest.mark.parametrize("role", ["photo", "reference"])
def test_what_is_no_photo_gets_a_sentence_at_once(tab: Tab, photos: Path, role: str, name: str, sentence: str) -> None:
    tab.tab.set_input_files(f'.drop[data-role="{role}"] input', photos / name)
    note = tab.tab.locator(f'.drop[data-role="{role}"] .note', has_text=sentence)
    note.wait_for()
    tab.choose(photos / "tall.tif", role)  # and the next one is taken, of a format that browsers do not show
    assert not note.is_visible()


def test_no_photo_and_no_face_get_a_sentence(tab: Tab, photos: Path) -> None:
    assert tab.take_off() == "Choose a photo first."
    tab.choose(photos / "wall.png")
    assert tab.take_off().startswith("No face found in the photo")
    tab.choose(photos / "masked.png")
    tab.choose(photos / "wall.png", "reference")
    assert tab.take_off().startswith("No face found in the reference")
    assert not tab.shows("#result") and tab.errors == []
    tab.choose(photos / "masked.png", "reference")
    assert tab.take_off().startswith("Reference must show the face without a face mask; got one that covers")
    assert not tab.shows("#result") and tab.errors == []
    tab.choose(photos / "reference.jpg", "reference")
    tab.take_off()
    assert tab.shows("#result")
    tab.choose(photos / "wall.png", "reference")
    assert tab.take_off().startswith("No face found in the reference")
    assert not tab.shows("#result")  # the earlier one would pass for this one's


def test_a_double_click_is_one_order(tab: Tab, photos: Path) -> None:
    tab.choose(photos / "masked.png")
    tab.tab.dblclick("#take-off")
    tab.tab.wait_for_function("document.body.dataset.answers === '1'")
    tab.tab.wait_for_timeout(4000)  # longer than a second answer would take
    assert tab.tab.evaluate("document.body.dataset.answers") == "1"
    assert tab.shows("#result") and tab.take_off().startswith("Done in")


def test_a_new_photo_clears_what_was_shown(tab: Tab, photos: Path) -> None:
    tab.choose(photos / "masked.png")
    tab.take_off()
    tab.wait_for_result()
    tab.choose(photos / "wall.png")
    assert not tab.shows("#result") and not tab.shows("#hole") and not tab.shows("#status p")
    tab.tab.click('.drop[data-role="photo"] .clear')
    assert tab.take_off() == "Choose a photo first."


def test_an_answer_for_an_earlier_photo_is_not_shown(tab: Tab, page: Any, photos: Path) -> None:
    tab.choose(photos / "masked.png")
    tab.tab.evaluate("document.querySelector('#take-off').click()")
    tab.tab.wait_for_timeout(300)
    tab.choose(photos / "wall.png")
    tab.tab.wait_for_selector("#status p")
    tab.tab.wait_for_timeout(500)
    assert not tab.shows("#result") and not tab.shows("#hole")


def test_a_tab_that_is_left_takes_back_what_waits(tab: Tab, photos: Path) -> None:
    tab.choose(photos / "masked.png")
    # A request of a page that goes is not reported: what the page hands to the browser is kept instead.
    tab.tab.evaluate("navigator.sendBeacon = (url, data) => Boolean((localStorage.sent = `${url} ${data}`))")
    with tab.tab.expect_response("**/put"):
        tab.tab.evaluate("document.querySelector('#take-off').click()")
    tab.tab.wait_for_timeout(100)
    tab.tab.goto("about:blank")
    tab.tab.goto(tab.url)
    address, tickets = tab.tab.evaluate("localStorage.sent").split(" ", 1)
    assert address == "forget" and [len(ticket) for ticket in json.loads(tickets)] == [32]


@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_the_screen_and_takes_fingers(browser: Any, page: Any, photos: Path, width: int) -> None:
    tab = Tab(browser, page.url, width=width, has_touch=width < 500)
    tab.choose(photos / "masked.png")
    tab.choose(photos / "reference.jpg", "reference")
    tab.take_off()
    tab.wait_for_result()
    assert tab.tab.evaluate("document.documentElement.scrollWidth") <= width
    if width < 500:  # a finger paints as well
        found, canvas = tab.holes(), tab.tab.locator("#canvas")
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        tab.tab.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 4)
        assert tab.holes() > found
    tab.context.close()


def test_no_trace_on_disk_and_no_picture_in_the_queue(tab: Tab, page: Any, photos: Path) -> None:
    bodies = []
    tab.tab.on("response", lambda response: bodies.append(response) if "gradio_api" in response.url else None)
    tab.choose(photos / "masked.png")
    tab.take_off()
    tab.wait_for_result()
    files = [path for path in page.home.rglob("*") if path.is_file()]
    assert [path for path in files if path.stat().st_size > 1000] == []
    assert all("image/" not in response.headers.get("content-type", "") for response in bodies) and bodies
    assert not [url for url in tab.requests if "/upload" in url or "/file=" in url]
