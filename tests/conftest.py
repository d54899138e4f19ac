"""What tests of several folders share: a headless browser, and draws that no other test changes."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def pytest_runtest_setup() -> None:
    """What fixtures draw from PyTorch's global generator depends on no test before them,"""
    torch.manual_seed(0)


def pytest_runtest_call() -> None:
    """and what a test draws on no fixture, which may have been there before."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium, that of the system or Playwright's own; without one the test is skipped."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no browser tests: playwright is not installed")
    with playwright.sync_playwright() as driver:
        path = next((found for name in NAMES if (found := shutil.which(name))), driver.chromium.executable_path)
        if not Path(path).exists():
            pytest.skip("no Chromium: apt-get install chromium, or python -m playwright install chromium")
        chromium = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()
