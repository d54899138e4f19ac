"""The page in a real browser, as somebody would use it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from examples.mask_removal.pipeline import load_default, remove_mask
from gatedinpaint import read_photo
from gatedinpaint.faces import FaceLandmarker
from tests.app.tab import Tab

pytestmark = pytest.mark.browser


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
    tab.draw((0.5, 0.2), (0.5, 0.2))
    assert tab.holes() > found + 300  # a click alone
    tab.tab.click("#undo")
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


def test_the_hole_is_corrected_by_keyboard(tab: Tab, photos: Path) -> None:
    tab.choose(photos / "bare.png")
    tab.take_off()
    tab.tab.wait_for_selector("body.has-hole #canvas")
    press, shown = tab.tab.keyboard.press, "document.getElementById('canvas').toDataURL()"
    tab.tab.locator("#brush-size").fill("40")
    bare = tab.tab.evaluate(shown)
    tab.tab.focus("#reset")
    press("Tab")
    assert tab.tab.evaluate("document.activeElement.id") == "canvas"
    assert tab.tab.evaluate(shown) != bare and tab.holes() == 0  # a ring shows where the brush is
    top = tab.tab.evaluate("scrollY")
    press("ArrowLeft")
    assert tab.holes() == 0
    press("Space")
    dab = tab.holes()
    across = 40 * tab.tab.evaluate("canvas.width / canvas.getBoundingClientRect().width")
    assert dab == pytest.approx(np.pi / 4 * across**2, rel=0.1)
    press("ArrowRight")
    assert tab.holes() == dab  # the brush is up again
    for _ in range(20):
        press("Shift+ArrowLeft")
    tab.tab.keyboard.down("Space")
    for _ in range(6):
        press("ArrowDown")
    tab.tab.keyboard.up("Space")
    assert tab.holes() > 1.5 * dab
    assert tab.tab.evaluate("scrollY") == top
    tab.tab.click("#undo")
    assert tab.holes() == dab
    tab.tab.get_by_label("Erase").check()
    tab.tab.focus("#canvas")
    for key in ("ArrowUp",) * 40 + ("ArrowLeft",) * 40:  # no farther than the corner
        press(key)
    press("Space")
    assert tab.holes() == dab and tab.errors == []
    tab.tab.click("#reset")
    assert tab.holes() == 0 and tab.tab.evaluate(shown) == bare  # no ring without the keyboard


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


def test_a_photo_is_dropped_and_pasted(tab: Tab, photos: Path) -> None:
    give = """([kind, place, data]) => {
      const transfer = new DataTransfer(), bytes = Uint8Array.from(data);
      transfer.items.add(new File([bytes], "given.png", { type: "image/png" }));
      const options = { bubbles: true, cancelable: true };
      const event = kind === "paste" ? new ClipboardEvent(kind, { ...options, clipboardData: transfer })
        : new DragEvent(kind, { ...options, dataTransfer: transfer });
      return document.querySelector(place).dispatchEvent(event);
    }"""
    data, first, second = list((photos / "wall.png").read_bytes()), '[data-role="photo"]', '[data-role="reference"]'
    assert tab.tab.evaluate(give, ["drop", "#top", data]) is False  # the browser does not open it in place of the page
    tab.tab.wait_for_timeout(300)
    assert tab.tab.locator(".drop.filled").count() == 0
    tab.tab.evaluate(give, ["dragover", f"{second} label", data])
    assert tab.tab.locator(".drop.over").get_attribute("data-role") == "reference"
    tab.tab.evaluate(give, ["drop", f"{second} label", data])
    tab.tab.wait_for_selector(f".drop.filled{second}")
    assert tab.tab.locator(".drop.over").count() == 0
    tab.tab.evaluate(give, ["paste", "body", data])
    tab.tab.wait_for_selector(f".drop.filled{first}")
    tab.tab.click(f"{second} .clear")
    tab.tab.focus(f"{second} input")
    tab.tab.evaluate(give, ["paste", f"{second} input", data])
    tab.tab.wait_for_selector(f".drop.filled{second}")
    assert tab.tab.get_by_alt_text("Chosen: given.png").count() == 2 and tab.errors == []


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
