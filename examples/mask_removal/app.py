"""A web page that takes face masks off photos, on this computer alone.

    python -m examples.mask_removal.app

Open the address that it prints. Photos stay in memory and are forgotten with the answer; nothing is asked of another
server.
"""

from examples.mask_removal.needs import needs

if __name__ == "__main__":
    needs("app", "cv2", "mediapipe", "PIL", "gradio")

import argparse
import os
import signal
import socket
import sys
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING

from examples.mask_removal.pipeline import load_default
from examples.mask_removal.removal_options import LEAST
from gatedinpaint.faces import FaceLandmarker

if TYPE_CHECKING:
    from fastapi import FastAPI

    from examples.mask_removal.app_tickets import Tickets


def make_app(tickets: "Tickets | None" = None) -> "FastAPI":
    """The page as an ASGI application, for uvicorn or another server.

    Raises:
        ImportError: gradio is not installed.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported, so before it
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    try:
        import gradio as gr
    except ImportError as error:
        raise ImportError(f"the web page needs gradio: pip install 'gatedinpaint[app]' ({error})") from error
    from examples.mask_removal.app_page import HEAD, Work, make_page
    from examples.mask_removal.app_server import make_server
    from examples.mask_removal.app_tickets import Tickets

    tickets = Tickets() if tickets is None else tickets
    page = make_page(Work(tickets, load_default(), FaceLandmarker(max_faces=20, least=LEAST)))
    # The reader's own fonts, white on a green dark enough to be read, and edges and a label that can be seen.
    fonts, mono = ["system-ui", "Segoe UI", "Roboto", "sans-serif"], ["ui-monospace", "monospace"]
    theme = gr.themes.Soft(primary_hue="teal", neutral_hue="slate", font=fonts, font_mono=mono).set(
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_hover_dark="*primary_800",
        block_title_background_fill="none",
        block_title_background_fill_dark="none",
        block_title_padding="0",
        block_title_text_color="*body_text_color",
    )
    return gr.mount_gradio_app(
        make_server(tickets),
        page,
        path="/",
        theme=theme,
        head=HEAD,
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        enable_monitoring=False,
        show_error=False,
        max_file_size=1,
    )


def main(arguments: list[str] | None = None) -> int:
    """Serve the page until Ctrl-C; returns the exit code: 0, or 2 with one line that says why not."""
    parser = argparse.ArgumentParser(prog="app", description=__doc__.split("\n\n")[0])
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on; default: this computer alone")
    parser.add_argument("--port", type=int, default=7860, help="default: 7860; 0 takes any that is free")
    options = parser.parse_args(arguments)
    if not 0 <= options.port <= 65_535:
        parser.error(f"--port must be from 0 to 65535; got {options.port}")
    # gradio makes folders for what it would store; here they stay empty, and they go with the server.
    with tempfile.TemporaryDirectory(prefix="mask-removal-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        # uvicorn ends tidily on both signals and then raises them again: the folder has to go all the same.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            with socket.create_server((options.host, options.port)) as listening, suppress(KeyboardInterrupt):
                app = make_app()
                import uvicorn

                server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
                everywhere = options.host == "0.0.0.0"  # is listened on, but no address that every browser opens
                host = "127.0.0.1" if everywhere else options.host
                others = ", on other computers with this one's address" if everywhere else ""
                port = listening.getsockname()[1]
                print(f"Open http://{host}:{port} in a browser{others}. Ctrl-C ends it.", flush=True)
                server.run(sockets=[listening])
        except (ImportError, ValueError, OSError) as error:
            print(f"app: {' '.join(str(error).split())}", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
