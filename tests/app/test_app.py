import signal
import socket
import sys
from collections.abc import Iterator

import pytest

from examples.mask_removal.app import main


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    """The signal's handler is that of the process: it is put back."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_a_port_that_is_taken_gets_one_line(capsys: pytest.CaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["--port", str(taken.getsockname()[1])]) == 2
    error = capsys.readouterr().err
    assert error.startswith("app: ") and "in use" in error and error.count("\n") == 1


def test_no_port_and_no_address_get_one_line(capsys: pytest.CaptureFixture) -> None:
    assert main(["--host", "no.such.host.invalid", "--port", "0"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(SystemExit, match="2"):
        main(["--port", "70000"])
    assert "must be from 0 to 65535" in capsys.readouterr().err


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_the_address_that_it_prints_opens(
    host: str, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    uvicorn = pytest.importorskip("uvicorn", reason="gradio, which brings uvicorn, is not installed")

    opened = []

    def run(server: object, sockets: list[socket.socket]) -> None:
        address = capsys.readouterr().out.split()[1]
        assert address == f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
        opened.append(socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2]))))

    monkeypatch.setattr("examples.mask_removal.app.make_app", lambda: None)
    monkeypatch.setattr(uvicorn.Server, "run", run)
    assert main(["--host", host, "--port", "0"]) == 0
    assert len(opened) == 1
    opened[0].close()


def test_without_gradio_it_says_what_to_install(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert main(["--port", "0"]) == 2
    assert capsys.readouterr().err.startswith("app: the web page needs gradio: pip install 'gatedinpaint[app]'")
