"""Eight people at once, for a minute: everybody gets the answer to their own photo, and the disk stays clean."""

import base64
import io
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatedinpaint import read_photo, write_photo
from tests.app.tab import Tab

USERS, SECONDS = 8, 60

FETCH = """async () => {
  const bytes = new Uint8Array(await (await fetch(document.getElementById("download").href)).arrayBuffer());
  let text = "";
  for (let i = 0; i < bytes.length; i += 32768) text += String.fromCharCode(...bytes.subarray(i, i + 32768));
  return btoa(text);
}"""


def written(process: Any) -> int:
    """Bytes that a process caused to be written to disk."""
    lines = Path(f"/proc/{process.pid}/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["write_bytes"])


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.timeout(600)
def test_eight_users_for_a_minute(browser: Any, page: Any, masked: np.ndarray, tmp_path: Path) -> None:
    tabs, own = [], []
    for user in range(USERS):
        own.append(np.ascontiguousarray(np.roll(masked, 7 * user, axis=1)))
        write_photo(tmp_path / f"{user}.png", own[-1])
        tabs.append(Tab(browser, page.url, width=320, height=240))  # small: eight tabs draw on one machine
        tabs[-1].choose(tmp_path / f"{user}.png")
    before, began, answers = written(page.process), time.monotonic(), 0
    while time.monotonic() - began < SECONDS:
        answers += 1
        for tab in tabs:
            tab.tab.evaluate("document.getElementById('take-off').click()")
        for tab, photo in zip(tabs, own, strict=True):
            tab.tab.wait_for_function(f"document.body.dataset.answers === '{answers}'", timeout=120_000)
            assert tab.tab.inner_text("#status p").startswith("Done in")
            result = read_photo(io.BytesIO(base64.b64decode(tab.tab.evaluate(FETCH))))
            changed = (result != photo).any(-1)
            assert 0.005 < changed.mean() < 0.05  # the face mask, and everything else is this user's photo
    print(f"{answers} answers to each of {USERS} users in {time.monotonic() - began:.0f} s")
    for tab in tabs:
        assert tab.errors == [] and tab.outside() == []
        tab.context.close()
    assert written(page.process) - before < 50_000  # of some megabytes that came and went
    assert [path for path in page.home.rglob("*") if path.is_file() and path.stat().st_size > 1000] == []
