"""The help of each command teaches by examples, and the examples are commands that exist."""

import re
import shlex
from collections.abc import Callable

import pytest

from examples.mask_removal import demo, evaluate, prepare, remove, train


@pytest.mark.parametrize("command", [prepare, train, evaluate, remove], ids=lambda module: module.__name__)
def test_examples_use_options_that_exist(command: object, capsys: pytest.CaptureFixture) -> None:
    text = help_of(command.main, capsys)
    examples = re.findall(rf"^  .*-m {re.escape(command.__name__)} (.*)$", text, re.MULTILINE)
    assert len(examples) >= 3
    described = set(re.findall(r"--[a-z-]+", text.replace("\n".join(examples), "")))
    for example in examples:
        used = [word for word in shlex.split(re.sub(r"\(.*\)", "", example)) if word.startswith("--")]
        assert used and set(used) <= described
    assert re.search(r"exit code: 0 .*; 2 ", text)


def test_every_command_has_a_help(capsys: pytest.CaptureFixture) -> None:
    assert "--output" in help_of(demo.main, capsys)


def help_of(main: Callable[[list[str]], int], capsys: pytest.CaptureFixture) -> str:
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    return capsys.readouterr().out
