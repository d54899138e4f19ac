"""The web page's own routes: photos come in and go out through memory, past gradio, which would write them to disk."""

import asyncio
import json
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, PlainTextResponse
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from examples.mask_removal.app_tickets import Tickets, TooManyError
from examples.mask_removal.app_work import MOST_BYTES, preview
from gatedinpaint import PhotoError

STATIC = {path.name: path for path in (Path(__file__).parent / "app_static").iterdir()}

# The browser itself refuses whatever would be asked of another server.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' blob: data:; font-src 'self' data:; connect-src 'self' blob: data:; worker-src 'self' blob:; "
    "frame-ancestors 'self'; form-action 'self'; base-uri 'self'"
)
# What the page sends to gradio. Other routes of it store what they get.
GRADIO_TAKES = ("/gradio_api/queue/join", "/gradio_api/cancel", "/gradio_api/reset")
HEADERS = {
    "content-security-policy": POLICY,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}


class Guard:
    """Headers on every answer, no way to what gradio would store, such as its own upload, and none for other sites.

    A page of another site that is open in the same browser could send photos too, and take up the room for them.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        if _would_be_stored(scope["method"], scope["path"].rstrip("/")):
            return await PlainTextResponse("nothing is stored here", 404)(scope, receive, send)
        if scope["method"] == "POST" and _is_foreign(Headers(scope=scope)):
            return await PlainTextResponse("this page takes nothing from other sites", 403)(scope, receive, send)

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name.encode() for name in HEADERS}
                kept = [(name, value) for name, value in message.get("headers", ()) if name.lower() not in own]
                message["headers"] = kept + [(name.encode(), value.encode()) for name, value in HEADERS.items()]
            await send(message)

        return await self.app(scope, receive, guarded)


def _would_be_stored(method: str, path: str) -> bool:
    if method == "POST":
        return "/gradio_api/" in path and not path.endswith(GRADIO_TAKES)
    return path.endswith("/gradio_api/deep_link")


def _is_foreign(headers: Headers) -> bool:
    """Whether a browser says that the page of another site sends this; programs that are no browsers say nothing."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host")


def make_server(tickets: Tickets) -> FastAPI:
    """The routes ``page/NAME``, ``preview``, ``put``, ``take/TICKET`` and ``forget``."""
    server = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    server.add_middleware(Guard)

    @server.get("/page/{name}")
    async def page(name: str) -> Response:
        return FileResponse(STATIC[name]) if name in STATIC else PlainTextResponse("no such file", 404)

    @server.post("/preview")
    async def show(request: Request, name: str = "photo") -> Response:
        try:
            data = await _body(request)
            small = await asyncio.to_thread(preview, data, _plain(name))
        except (PhotoError, ImportError) as error:  # HEIC needs an extra
            return PlainTextResponse(str(error), 422)
        return Response(small, media_type="image/jpeg")

    @server.post("/put")
    async def put(request: Request) -> Response:
        try:
            return PlainTextResponse(tickets.put(await _body(request)))
        except PhotoError as error:
            return PlainTextResponse(str(error), 413)
        except TooManyError as error:
            return PlainTextResponse(str(error), 503)

    @server.get("/take/{ticket}")
    async def take(ticket: str) -> Response:
        data = tickets.take(ticket)
        if data is None:
            return PlainTextResponse("this picture was fetched before, or too late; nothing is stored here", 404)
        return Response(data, media_type="image/png" if data.startswith(b"\x89PNG") else "image/jpeg")

    @server.post("/forget")
    async def forget(request: Request) -> Response:
        try:
            held = json.loads(await _body(request))
        except (ValueError, RecursionError):
            held = None
        if not isinstance(held, list):
            return PlainTextResponse("expected a list of tickets", 400)
        for ticket in held:
            tickets.take(str(ticket))
        return Response(status_code=204)

    return server


async def _body(request: Request) -> bytes:
    """What was sent, read no further than photos may be large.

    Raises:
        PhotoError: it is larger.
    """
    too_large = PhotoError(f"the file is too large; at most {MOST_BYTES / 1e6:.0f} MB are taken. Shrink it first.")
    if int(request.headers.get("content-length", 0)) > MOST_BYTES:
        raise too_large
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise too_large
    return bytes(body)


def _plain(name: str) -> str:
    """A file's name as it may stand in a sentence."""
    return "".join(letter for letter in name if letter.isprintable())[:60] or "photo"
