"""The function behind the buttons: what the page orders, and what it gets."""

import io
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("gradio", reason="no tests of the web page: gradio is not installed")

from examples.mask_removal.app_page import Work
from examples.mask_removal.app_tickets import Tickets
from examples.mask_removal.pipeline import load_default, remove_mask
from gatedinpaint import InpaintGenerator, read_photo
from gatedinpaint.faces import FaceLandmarker


def test_an_answer_names_its_order_and_holds_tickets(
    photos: Path, masked: np.ndarray, landmarker: FaceLandmarker
) -> None:
    tickets, generator = Tickets(), load_default()
    reply = Work(tickets, generator, landmarker)(
        {"turn": 7, "photo": tickets.put((photos / "masked.png").read_bytes())}, "masked"
    )
    assert reply["turn"] == 7 and reply["message"].startswith("Done in")
    result = read_photo(io.BytesIO(tickets.take(reply["result"])))
    assert np.array_equal(result, remove_mask(masked, generator, landmarker).photo)
    parts = [reply["canvas"], reply["hole"], *(view[part] for view in reply["views"] for part in ("before", "origin"))]
    assert all(read_photo(io.BytesIO(tickets.take(part))).size for part in parts)


def test_what_goes_wrong_is_a_sentence(photos: Path, landmarker: FaceLandmarker, capsys: pytest.CaptureFixture) -> None:
    tickets = Tickets()
    work = Work(tickets, InpaintGenerator(2).eval(), landmarker)
    assert work({"turn": 1, "problem": "choose <b>one</b>"}, "masked") == {"turn": 1, "message": "Choose <b>one</b>"}
    assert work(None, "masked")["message"].startswith("The photo has not arrived")
    wall = (photos / "wall.png").read_bytes()
    reply = work({"turn": 2, "photo": tickets.put(wall)}, "masked")
    assert reply["turn"] == 2 and reply["message"].startswith("No face found in the photo") and len(tickets) == 0
    assert capsys.readouterr().err == ""
    nonsense = {"photo": tickets.put(wall), "hole": tickets.put(wall), "window": None}  # the page gives four numbers
    assert work({"turn": 3, **nonsense}, "masked") == {
        "turn": 3,
        "message": "Something went wrong here, not with your photo. Nothing was stored; try again.",
    }
    assert capsys.readouterr().err.startswith("app: TypeError at app_page.py:")
