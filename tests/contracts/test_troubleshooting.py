"""The messages on the troubleshooting page are those of the source."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/troubleshooting.md").read_text("utf-8")
FOREIGN = (
    "OSError: libEGL",
    "AttributeError: module 'cv2'",
    "No module named 'examples'",
    "[Errno 98]",
    "pip",
    "apex",
    "fp16",
)
MESSAGES = [text for text in re.findall(r"^\*\*`([^`]+)`", PAGE, re.MULTILINE) if not text.startswith(FOREIGN)]


@pytest.fixture(scope="module")
def strings() -> str:
    """All strings of the source, one a line, with … where a value is put in."""
    found = []
    for path in sorted([*(ROOT / "gatedinpaint").rglob("*.py"), *(ROOT / "examples").rglob("*.py")]):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
            elif isinstance(node, ast.JoinedStr):
                found.append("".join(p.value if isinstance(p, ast.Constant) else "…" for p in node.values))
    return "\n".join(" ".join(text.split()) for text in found)


def test_there_are_messages() -> None:
    assert len(MESSAGES) >= 10


@pytest.mark.parametrize("message", MESSAGES)
def test_the_message_exists(strings: str, message: str) -> None:
    assert message.removesuffix("…").strip() in strings
