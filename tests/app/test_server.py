import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gradio", reason="no tests of the web page: gradio is not installed")

from fastapi.testclient import TestClient

from examples.mask_removal.app_server import STATIC, make_server
from examples.mask_removal.app_tickets import Tickets
from examples.mask_removal.app_work import MOST_BYTES


@pytest.fixture
def tickets() -> Tickets:
    return Tickets(most_bytes=50_000_000)


@pytest.fixture
def client(tickets: Tickets) -> TestClient:
    return TestClient(make_server(tickets))


def test_pictures_come_and_go_once(client: TestClient, tickets: Tickets, photos: Path) -> None:
    data = (photos / "masked.png").read_bytes()
    ticket = client.post("/put", content=data).text
    assert len(tickets) == 1
    answer = client.get(f"/take/{ticket}")
    assert answer.content == data and answer.headers["content-type"] == "image/png"
    assert answer.headers["cache-control"] == "no-store"
    assert client.get(f"/take/{ticket}").status_code == 404 and len(tickets) == 0


def test_a_page_that_is_closed_forgets(client: TestClient, tickets: Tickets) -> None:
    held = [client.post("/put", content=b"photo").text for _ in range(2)]
    kept = client.post("/put", content=b"of somebody else").text
    assert client.post("/forget", json=held).status_code == 204
    assert len(tickets) == 1 and tickets.take(kept) == b"of somebody else"
    for nonsense in (b"", b"{", b'{"a": 1}', b"7"):
        assert client.post("/forget", content=nonsense).status_code == 400


def test_the_preview_keeps_nothing(client: TestClient, tickets: Tickets, photos: Path) -> None:
    answer = client.post("/preview", content=(photos / "tall.tif").read_bytes())
    assert answer.content.startswith(b"\xff\xd8") and len(tickets) == 0
    refused = client.post("/preview?name=my%20text.jpg", content=(photos / "text.jpg").read_bytes())
    assert refused.status_code == 422 and refused.text.startswith("my text.jpg: cannot be read as a photo")
    assert client.post("/preview", content=b"").status_code == 422


def test_too_large_is_refused_before_it_is_read(client: TestClient, tickets: Tickets) -> None:
    def parts() -> object:
        for _ in range(MOST_BYTES // 1_000_000 + 2):
            yield bytes(1_000_000)

    for content in (bytes(MOST_BYTES + 1), parts()):  # with its length said, and without
        answer = client.post("/put", content=content)
        assert answer.status_code == 413 and "at most 30 MB" in answer.text
    assert len(tickets) == 0
    assert client.post("/put", content=bytes(MOST_BYTES)).status_code == 200
    assert client.post("/put", content=bytes(MOST_BYTES)).status_code == 503


def test_only_its_own_files_are_served(client: TestClient) -> None:
    assert client.get("/page/page.js").status_code == 200
    for name in ("..%2Fapp.py", "%2Fetc%2Fpasswd", "app.py"):
        assert client.get(f"/page/{name}").status_code == 404
    assert set(STATIC) >= {"page.js", "brush.js", "page.css"}


def test_every_answer_forbids_other_servers(client: TestClient) -> None:
    for path in ("/page/page.js", "/take/nothing", "/nowhere"):
        policy = client.get(path).headers["content-security-policy"]
        assert "default-src 'self'" in policy and "http" not in policy and "*" not in policy


@pytest.mark.parametrize("path", ["upload", "upload/", "component_server", "process_recording", "vibe-edit"])
def test_what_gradio_would_store_does_not_reach_it(client: TestClient, path: str) -> None:
    answer = client.post(f"/gradio_api/{path}", files={"files": b"a photo"})
    assert answer.status_code == 404 and answer.text == "nothing is stored here"
    assert client.get("/gradio_api/deep_link?session_hash=any").text == "nothing is stored here"


@pytest.mark.parametrize("path", ["upload", "process_recording"])
def test_the_running_page_stores_no_file_that_is_sent_past_it(page: Any, path: str) -> None:
    part = '--b\r\nContent-Disposition: form-data; name="{}"; filename="a.mp4"\r\n\r\nx\r\n'
    body = (part.format("video") + part.format("files") + "--b--\r\n").encode()
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(urllib.request.Request(f"{page.url}/gradio_api/{path}", body, kind), timeout=60)
    assert [path for path in page.home.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),  # no browser
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "http://testserver"}, 200),
        ({"origin": "https://evil.example"}, 403),
    ],
)
def test_other_sites_cannot_send(client: TestClient, tickets: Tickets, headers: dict[str, str], status: int) -> None:
    assert client.post("/put", content=b"photo", headers=headers).status_code == status
    assert len(tickets) == (status == 200)


def test_deep_nonsense_is_no_crash(client: TestClient) -> None:
    assert client.post("/forget", content=b"[" * 100_000).status_code == 400
