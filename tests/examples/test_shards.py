import contextlib
import io
import json
import os
import shutil
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch

from examples.mask_removal import prepare as prepare_module
from examples.mask_removal import shards
from examples.mask_removal.crops import Prepared
from examples.mask_removal.data import Batch, FaceDataset, batches
from examples.mask_removal.photo_sources import SourcePhoto
from examples.mask_removal.prepare import main
from examples.mask_removal.shards import DamagedSampleError, ShardWriter, fetch, pack, sample_files, unpack
from examples.mask_removal.training_set import read_index
from gatedinpaint import read_photo


@pytest.fixture(scope="session")
def sharded_set(photos_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("sharded") / "faces"
    arguments = [str(photos_folder), "--output", str(output), "--size", "64", "--workers", "0"]
    assert main([*arguments, "--samples-per-shard", "4"]) == 0
    return output


def taken(folder: Path) -> list[dict]:
    return [line for line in read_index(folder) if "skipped" not in line]


def same(one: list[Batch], other: list[Batch]) -> bool:
    pairs = zip(one, other, strict=True)
    return all(torch.equal(a, b) for first, second in pairs for a, b in zip(first, second, strict=True))


def test_files_and_shards_give_the_same_batches(training_set: Path, sharded_set: Path) -> None:
    assert not (sharded_set / "samples").exists()
    assert sorted(path.name for path in (sharded_set / "shards").iterdir()) == ["00000-000000.tar", "00000-000001.tar"]
    files = list(batches(FaceDataset(training_set), batch_size=1, epoch=1))
    assert len(files) == 5
    assert same(files, list(batches(FaceDataset(sharded_set), batch_size=1, epoch=1)))
    assert same(files[2:], list(batches(FaceDataset(sharded_set), batch_size=1, epoch=1, first=2, workers=2)))
    assert (sharded_set / "sheet.png").read_bytes() == (training_set / "sheet.png").read_bytes()


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # its files
def test_webdataset_reads_the_shards(training_set: Path, sharded_set: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    paths = [str(path) for path in sorted((sharded_set / "shards").glob("*.tar"))]
    samples = list(webdataset.WebDataset(paths, shardshuffle=False))
    lines = {line["id"]: line for line in taken(sharded_set)}
    assert sorted(json.loads(sample["json"])["id"] for sample in samples) == sorted(lines)
    for sample in samples:
        line = json.loads(sample["json"])
        assert line["source"] == lines[line["id"]]["source"]
        path = training_set / "samples" / f"{line['id']}.png"
        assert np.array_equal(read_photo(io.BytesIO(sample["png"])), read_photo(path))
        assert np.array_equal(np.load(io.BytesIO(sample["npy"])), np.load(path.with_suffix(".npy")))
        assert sample["hole.png"] == (training_set / "holes" / path.name).read_bytes()


def test_a_piece_of_a_tar_file() -> None:
    files = {"png": b"p" * 700, "hole.png": b"", "npy": bytes(512)}
    content = pack("key", files)
    assert unpack(content) == files
    assert len(content) == 512 * (1 + 2 + 1 + 1 + 1)  # headers, and contents in blocks of 512
    with tarfile.open(fileobj=io.BytesIO(content + bytes(1024))) as tar:
        assert tar.getnames() == ["key.png", "key.hole.png", "key.npy"]


def test_a_shard_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path, rank=3, samples=2)
    assert writer.close() == []
    assert writer.add({"id": "a"}, {"png": b"a"}) == []
    assert [path.name for path in (tmp_path / "shards").iterdir()] == ["00003-000000.part"]
    lines = writer.add({"id": "b"}, {"png": b"b"})
    assert [line["id"] for line in lines] == ["a", "b"]
    writer.add({"id": "lost"}, {"png": b"c" * 5000})
    writer.file.close()  # and the process dies
    writer = ShardWriter(tmp_path, rank=3, samples=2)
    writer.add({"id": "c"}, {"png": b"c"})
    lines += writer.close()
    assert sorted(path.name for path in (tmp_path / "shards").iterdir()) == ["00003-000000.tar", "00003-000001.tar"]
    assert [sample_files(tmp_path, line)["png"] for line in lines] == [b"a", b"b", b"c"]


def test_an_interruption_costs_no_photo_that_is_done(
    photos_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, worked = prepare_module.prepare_photo, []

    def interrupted(item: SourcePhoto, **options: object) -> Prepared:
        if len(worked) == 3:
            raise KeyboardInterrupt
        worked.append(item.id)
        return original(item, **options)

    arguments = [str(photos_folder), "--output", str(tmp_path / "set"), "--size", "32", "--workers", "0"]
    arguments += ["--no-found-holes", "--samples-per-shard", "100"]
    monkeypatch.setattr(prepare_module, "prepare_photo", interrupted)
    assert main(arguments) == 130
    before = read_index(tmp_path / "set")
    assert sorted(line["id"] for line in before) == sorted(worked)
    monkeypatch.setattr(prepare_module, "prepare_photo", original)
    assert main(arguments) == 0
    assert len(read_index(tmp_path / "set")) == 8 and all(line in read_index(tmp_path / "set") for line in before)
    assert len(list((tmp_path / "set" / "shards").glob("*.tar"))) == 2
    assert all(set(sample_files(tmp_path / "set", line)) == {"png", "npy", "json"} for line in taken(tmp_path / "set"))


@pytest.mark.parametrize("damage", ["flip", "cut", "gone"])
def test_damage_to_a_shard_is_found(sharded_set: Path, tmp_path: Path, damage: str) -> None:
    folder = shutil.copytree(sharded_set, tmp_path / "set")
    line = taken(folder)[1]
    path = folder / line["shard"]
    if damage == "flip":
        content = bytearray(path.read_bytes())
        content[line["offset"] + 1000] ^= 1
        path.write_bytes(content)
    elif damage == "cut":
        os.truncate(path, line["offset"] + line["length"] - 600)
    else:
        path.unlink()
    with pytest.raises(DamagedSampleError, match=f"^{folder}: damaged sample: .*{line['shard']}"):
        sample_files(folder, line)
    if damage == "flip":
        assert sample_files(folder, taken(folder)[0]) == sample_files(sharded_set, taken(sharded_set)[0])


class Ranges(SimpleHTTPRequestHandler):
    """A web server that sends parts of files, as object stores do and the standard library's does not."""

    failures = 0
    failure = 503
    cuts = 0

    def do_GET(self) -> None:
        if Ranges.cuts:
            Ranges.cuts -= 1
            self.send_response(206 if self.headers["Range"] else 200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(bytes(400))
        elif Ranges.failures:
            Ranges.failures -= 1
            self.send_error(Ranges.failure)
        elif wanted := self.headers["Range"]:
            self.send_part(wanted)
        else:
            super().do_GET()

    def send_part(self, wanted: str) -> None:
        start, end = map(int, wanted.removeprefix("bytes=").split("-"))
        content = Path(self.translate_path(self.path)).read_bytes()[start : end + 1]
        self.send_response(206)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


class NoRanges(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def served(folder: Path, handler: type[SimpleHTTPRequestHandler] = Ranges) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "_PAUSES", (0.0, 0.0))


def test_a_set_at_a_url_is_the_same_set(sharded_set: Path) -> None:
    here = list(batches(FaceDataset(sharded_set), batch_size=2, epoch=4))
    with served(sharded_set) as url:
        assert same(here, list(batches(FaceDataset(url), batch_size=2, epoch=4)))
        assert FaceDataset(f"{url}/").root == url  # an object store takes "SET//index.jsonl" for another file
        assert same(here[1:], list(batches(FaceDataset(url), batch_size=2, epoch=4, first=1, workers=1)))


@pytest.mark.parametrize(
    ("code", "reason"), [(503, "Service Unavailable"), (429, "Too Many Requests"), (408, "Request Timeout")]
)
def test_a_server_may_fail_twice(
    code: int, reason: str, sharded_set: Path, no_pauses: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ranges, "failure", code)
    with served(sharded_set) as url:
        Ranges.failures = 2
        assert len(fetch(f"{url}/index.jsonl")) == (sharded_set / "index.jsonl").stat().st_size
        Ranges.failures = 3
        with pytest.raises(OSError, match=f"^{url}/index.jsonl: {code} {reason}$"):
            fetch(f"{url}/index.jsonl")
        with pytest.raises(OSError, match="missing.jsonl: 404 "):
            fetch(f"{url}/missing.jsonl")
    with pytest.raises(OSError, match=f"^{url}/index.jsonl: not reached: .*refused"):
        fetch(f"{url}/index.jsonl")


def test_a_connection_that_breaks_in_the_middle_is_tried_again(sharded_set: Path, no_pauses: None) -> None:
    with served(sharded_set) as url:
        Ranges.cuts = 2
        assert len(fetch(f"{url}/index.jsonl")) == (sharded_set / "index.jsonl").stat().st_size
        Ranges.cuts = 3
        with pytest.raises(OSError, match=f"^{url}/index.jsonl: not reached: IncompleteRead"):
            fetch(f"{url}/index.jsonl")


def test_a_server_that_is_gone_is_no_damage(sharded_set: Path, no_pauses: None) -> None:
    with served(sharded_set) as url:
        dataset = FaceDataset(url)
    with pytest.raises(OSError, match="not reached"):
        list(batches(dataset, batch_size=1, epoch=0))
    assert dataset.damaged == {}


def test_what_a_url_must_offer(sharded_set: Path, training_set: Path) -> None:
    with served(sharded_set, NoRanges) as url, pytest.raises(OSError, match="does not send parts of files"):
        FaceDataset(url)[0]
    with served(training_set) as url, pytest.raises(ValueError, match="Prepare the set with --samples-per-shard"):
        FaceDataset(url)[0]
