"""How the page looks in a real browser: sizes, screens, fingers, contrast."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatedinpaint import write_photo
from tests.app.tab import Tab

pytestmark = pytest.mark.browser


def test_a_tall_photo_is_compared_without_a_margin(tab: Tab, masked: np.ndarray, tmp_path: Path) -> None:
    write_photo(tmp_path / "tall.png", np.pad(masked, ((0, 768), (0, 0), (0, 0)), mode="edge"))
    tab.choose(tmp_path / "tall.png")
    tab.take_off()
    tab.tab.get_by_label("Whole photo").check()
    tab.tab.wait_for_function("document.querySelector('#result img.after').naturalHeight === 1280")
    for part in (".compare", ".compare .before", ".compare .after", "#result .origin"):
        box = tab.tab.locator(part).bounding_box()
        assert box["height"] == pytest.approx(2.5 * box["width"], abs=1) and 600 < box["height"] <= 0.8 * 900 + 1


@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_the_screen_and_takes_fingers(
    browser: Any, page: Any, photos: Path, tmp_path: Path, width: int
) -> None:
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
        fingers = [{"x": box["x"] + share * box["width"], "y": box["y"] + box["height"] / 4} for share in (0.5, 0.9)]
        moved = [fingers[0], {**fingers[1], "x": fingers[1]["x"] - 20}]
        touch, counts = tab.context.new_cdp_session(tab.tab), []
        for kind, points in (("Start", fingers[:1]), ("Start", fingers), ("Move", moved), ("End", [])):
            touch.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points})
            counts.append(tab.holes())
        assert counts[0] >= found and counts[1:] == counts[:1] * 3  # no stroke from one finger to the other
    long = tmp_path / ("a-long-name-without-a-space" * 6 + ".jpg")
    long.symlink_to(photos / "heavy.jpg")
    tab.tab.set_input_files('.drop[data-role="photo"] input', long)
    tab.tab.get_by_text("Shrink it first").wait_for()
    assert tab.tab.evaluate("document.documentElement.scrollWidth") <= width
    tab.context.close()


CONTRAST = """(place) => {
  const light = (colour) => {
    const parts = colour.match(/[0-9.]+/g).slice(0, 3).map((part) => part / 255);
    const [r, g, b] = parts.map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  let behind = document.querySelector(place);
  const text = light(getComputedStyle(behind).color), clear = "rgba(0, 0, 0, 0)";
  while (behind.parentElement && getComputedStyle(behind).backgroundColor === clear) behind = behind.parentElement;
  const ground = light(getComputedStyle(behind).backgroundColor);
  return (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_what_is_behind_them(browser: Any, page: Any, scheme: str) -> None:
    tab = Tab(browser, page.url, color_scheme=scheme)
    tab.tab.wait_for_function(f"document.body.classList.contains('dark') === {str(scheme == 'dark').lower()}")
    for place in ("#top p", ".drop .invite", ".drop .invite b", "#orders span", "#orders input", "#take-off"):
        assert tab.tab.evaluate(CONTRAST, place) >= 4.5, place  # what WCAG asks of text at level AA
    drawn = tab.tab.evaluate("getComputedStyle(document.querySelector('#hole input')).colorScheme")
    assert drawn == ("dark" if scheme == "dark" else "normal")  # else a choice that is not taken looks taken
    tab.context.close()
