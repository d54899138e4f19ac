"""The web page itself: gradio lays it out, and keeps the queue of those who wait."""

import dataclasses
import sys
from pathlib import Path
from typing import Any, Literal, cast

import cv2
import gradio as gr

from examples.mask_removal.app_tickets import Tickets, TooManyError
from examples.mask_removal.app_work import MOST_BYTES, MOST_PIXELS, Answer, View, answer, decode, drawn_hole
from gatedinpaint import InpaintGenerator
from gatedinpaint.faces import Landmarker

MOST_WAITING = 64
_STATIC = Path(__file__).parent / "app_static"
_PEOPLE = [
    ("everybody who wears one", "masked"),
    ("face 0, the largest", 0),
    *((f"face {number}, the next", number) for number in range(1, 5)),
]
_DROPS = (
    {"ROLE": "photo", "TITLE": "Photo with a face mask", "REMARK": "required"},
    {"ROLE": "reference", "TITLE": "Second photo of the same person", "REMARK": "optional, without a face mask"},
)
_LIMITS = {"MOST_MB": f"{MOST_BYTES / 1e6:.0f}", "MOST_MP": f"{MOST_PIXELS / 1e6:.0f}"}
HEAD = '<link rel="stylesheet" href="page/page.css"><script src="page/brush.js" defer></script>'
HEAD += '<script src="page/page.js" defer></script>'


class Work:
    """The function behind the buttons: tickets in, a sentence and tickets out, with the number of the order."""

    def __init__(self, tickets: Tickets, generator: InpaintGenerator, landmarker: Landmarker) -> None:
        self.tickets, self.generator, self.landmarker = tickets, generator, landmarker

    def __call__(self, order: dict[str, Any] | None, faces: Literal["masked"] | int) -> dict[str, Any]:
        """Do what the page ordered; whatever goes wrong is a sentence on it, never a traceback."""
        order = order or {}
        return {"turn": order.get("turn"), **self._reply(order, faces)}

    def _reply(self, order: dict[str, Any], faces: Literal["masked"] | int) -> dict[str, Any]:
        try:
            if problem := order.get("problem"):
                raise ValueError(str(problem))
            return self._with_tickets(self._done(order, faces))
        except (ValueError, ImportError, TooManyError, cv2.error) as error:
            text = " ".join(str(error).split())
            return {"message": text[:1].upper() + text[1:]}
        except MemoryError:
            return {"message": "There is not enough memory for a photo of this size. Shrink it first."}
        except Exception as error:
            print(f"app: {type(error).__name__} at {_place(error)}", file=sys.stderr)  # nothing of what was sent
            return {"message": "Something went wrong here, not with your photo. Nothing was stored; try again."}

    def _done(self, order: dict[str, Any], faces: Literal["masked"] | int) -> Answer:
        data = {name: self.tickets.take(str(order.get(name))) for name in ("photo", "reference", "hole")}
        if data["photo"] is None:
            raise ValueError("The photo has not arrived, or waited too long. Press the button again.")
        photo = decode(data["photo"])
        reference = decode(data["reference"], "reference") if data["reference"] else None
        hole = None
        if data["hole"]:
            left, top, width, height = (int(side) for side in order["window"])
            hole = drawn_hole(data["hole"], (left, top, width, height), cast(tuple[int, int], photo.shape[:2]))
        return answer(photo, self.generator, self.landmarker, reference=reference, faces=faces, hole=hole)

    def _with_tickets(self, done: Answer | View) -> dict[str, Any]:
        parts: dict[str, Any] = {field.name: getattr(done, field.name) for field in dataclasses.fields(done)}
        for name, value in parts.items():
            if isinstance(value, bytes):
                parts[name] = self.tickets.put(value)
            elif name == "views":
                parts[name] = [self._with_tickets(view) for view in value]
        return parts


def make_page(work: Work) -> gr.Blocks:
    """The page over ``work``; one order is worked on at a time, the others wait in the order in which they came."""
    parts = {path.stem: path.read_text(encoding="utf-8") for path in _STATIC.glob("*.html")}
    with gr.Blocks(title="Face mask removal", analytics_enabled=False, delete_cache=(60, 60)) as page:
        gr.HTML(parts["header"], js_on_load=None, apply_default_css=False)
        with gr.Row(elem_id="inputs"):
            for words in _DROPS:
                gr.HTML(_filled(parts["drop"], words | _LIMITS), js_on_load=None, apply_default_css=False)
        with gr.Row(elem_id="orders", equal_height=True):
            faces = gr.Dropdown(_PEOPLE, value="masked", label="Whose face mask", interactive=True, filterable=False)
            take_off = gr.Button("Take the face mask off", variant="primary", elem_id="take-off")
        status = gr.HTML(parts["status"], elem_id="status", js_on_load=None, apply_default_css=False)
        gr.HTML(parts["result"], js_on_load=None, apply_default_css=False)
        gr.HTML(parts["hole"], js_on_load=None, apply_default_css=False)
        fill = gr.Button("Fill the corrected hole", elem_id="fill")
        gr.HTML(parts["footer"], js_on_load=None, apply_default_css=False)
        order = gr.JSON(visible=False)
        reply = gr.JSON(visible=False)
        for button, with_hole in ((take_off, "false"), (fill, "true")):
            asked = button.click(
                work,
                [order, faces],
                [reply],
                js=f"async (order, faces) => [await window.page.order({with_hole}), faces]",
                trigger_mode="multiple",  # page.js lets nobody order twice, but again after they called one off
                concurrency_id="work",
                concurrency_limit=1,
                show_progress="full",
                show_progress_on=[status],
                api_visibility="private",
            )
            asked.then(None, [reply], None, js="(reply) => { window.page.show(reply); }")
            asked.failure(None, None, None, js="() => { window.page.fail(); }")
    page.queue(max_size=MOST_WAITING, api_open=False)
    return page


def _filled(part: str, words: dict[str, str]) -> str:
    """A part of the page with words for its place-holders, which are in capitals."""
    for name, word in words.items():
        part = part.replace(name, word)
    return part


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "an unknown place"
