"""The page in a real browser, where something goes wrong or is called off."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.app.tab import Tab

pytestmark = pytest.mark.browser


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
    tab.choose(photos / "wall.png")
    assert tab.take_off().startswith("No face found in the photo")  # said before, and again
    tab.choose(photos / "wall.png")
    assert not tab.shows("#status p")
    assert tab.take_off().startswith("No face found in the photo")
    tab.choose(photos / "masked.png")
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


@pytest.mark.parametrize("how", ["another photo", "cancel", "cancel at once"])
def test_an_order_is_called_off(tab: Tab, photos: Path, how: str) -> None:
    tab.choose(photos / "masked.png")
    if how == "cancel at once":  # while the photo is sent
        tab.tab.evaluate(
            "document.querySelector('#take-off').click(); const timer = setInterval(() => {"
            "if (document.body.classList.contains('working')) { clearInterval(timer); cancel.click(); } }, 1)"
        )
        tab.tab.wait_for_timeout(500)
    else:
        with tab.tab.expect_response("**/queue/join*"):
            tab.tab.evaluate("document.querySelector('#take-off').click()")
    if how == "cancel":
        tab.tab.focus("#cancel")
        tab.tab.keyboard.press("Enter")
        assert tab.tab.evaluate("document.activeElement.id") == "take-off"
    tab.choose(photos / "wall.png")
    assert not tab.shows("#cancel") and not tab.shows("#status .wrap") and not tab.shows("#status p")
    assert tab.take_off().startswith("No face found in the photo")  # the button works at once
    tab.tab.wait_for_timeout(500)
    assert tab.tab.evaluate("document.body.dataset.answers") == "1"
    assert not tab.shows("#result") and not tab.shows("#hole") and tab.errors == []


@pytest.mark.parametrize(
    ("route", "how", "sentence"),
    [
        ("**/put", {}, "The server does not answer."),
        ("**/take/*", {}, "The pictures of the answer did not arrive. Press the button again."),
        ("**/take/*", {"status": 404, "body": "too late"}, "The pictures of the answer did not arrive."),
        ("**/queue/join*", {"status": 503, "json": {"detail": "Queue is full."}}, "The server takes no more orders"),
    ],
)
def test_what_does_not_come_through_gets_a_sentence(
    tab: Tab, photos: Path, route: str, how: dict[str, Any], sentence: str
) -> None:
    tab.tab.route(route, lambda asked: asked.fulfill(**how) if how else asked.abort())
    tab.choose(photos / "masked.png")
    assert tab.take_off().startswith(sentence)
    assert not tab.shows("#result") and not tab.shows("#hole") and not tab.shows("#status .wrap")
    assert [error for error in tab.errors if "Failed to load resource" not in error] == []
    tab.tab.unroute(route)
    assert tab.take_off().startswith("Done in") and tab.shows("#result") and tab.holes() > 0


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
