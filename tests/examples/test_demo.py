import re
import shlex
from pathlib import Path

import pytest

from examples.mask_removal import demo, remove
from examples.mask_removal.demo import main
from gatedinpaint import read_photo
from tests.shown import assert_shown

ROOT = Path(__file__).resolve().parents[2]


def test_demo_writes_pictures_and_says_what_it_measured(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    output = tmp_path / "new" / "demo.png"
    assert main(["--output", str(output)]) == 0
    printed = capsys.readouterr().out
    assert str(output) in printed
    assert len(re.findall(r"^ +\d+\.\d\d s  ", printed, re.MULTILINE)) == 6
    assert "Outside the hole every byte is that of the photo: yes." in printed
    assert float(re.search(r"drawn mask: (\d+\.\d+) dB", printed).group(1)) > 15
    assert float(re.search(r"by (\d\.\d+) \(intersection", printed).group(1)) > 0.85
    height, width = read_photo(output).shape[:2]
    assert width > 5 * 320 > 4 * height  # five pictures side by side
    assert sorted(path.name for path in output.parent.iterdir()) == ["demo-photo.png", "demo-reference.png", "demo.png"]


SHOWN = re.compile(r"^```console\n([^`]*)^```$\n\n(?:[^`\n][^\n]*\n\n)?```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_pages_show_what_demo_and_remove_print(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pages = [ROOT / "README.md", ROOT / "docs/mask-removal.md"]
    (first, shown), *others = [pair for page in pages for pair in SHOWN.findall(page.read_text("utf-8"))]
    assert first.strip() == "make demo" and len(others) == 2
    assert main([]) == 0
    assert_shown(shown, capsys.readouterr().out.replace(str(tmp_path), "/…"))
    for command, shown in others:
        words = shlex.split(command)
        assert words[:3] == ["python", "-m", remove.__name__]
        assert remove.main(words[3:]) == 0
        assert_shown(shown, capsys.readouterr().out)


def test_output_is_refused_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    worked = []
    monkeypatch.setattr(demo, "_run", worked.append)
    Path("mine.png").write_bytes(b"a photo of mine")
    Path("folder.png").mkdir()
    Path("file").touch()
    for name in ("x.txt", "x", "mine.png", "folder.png", "file/x.png"):
        assert main(["--output", name]) == 2
        error = capsys.readouterr().err
        assert name.split("/")[0] in error and error.count("\n") == 1
    assert worked == [] and Path("mine.png").read_bytes() == b"a photo of mine"
    assert main([]) == 0
    demo.DEFAULT_OUTPUT.touch()
    assert main([]) == 0  # its own picture is drawn again
    assert worked == [demo.DEFAULT_OUTPUT] * 2
