"""Where the samples of a set lie: as files in a folder, or many to a tar file, a shard, as WebDataset reads them.

A sample is its files by ending: ``{"png": ..., "npy": ...}``. In a shard they stand one after another, and the index
says where: name of the shard, offset, length and CRC-32 of the bytes. One read at that offset fetches the sample, from
a disk as from a web server, so the order of an epoch is the same for a folder, for shards and for a URL.
"""

import http.client
import io
import json
import os
import tarfile
import time
import urllib.error
import urllib.request
import zlib
from pathlib import Path
from typing import Any

SHARDS = "shards"
SAMPLES = "samples"
HOLES = "holes"
_END_OF_TAR = bytes(1024)
_PAUSES = (1.0, 4.0)
"""Seconds before the second and the third attempt to reach a server."""
_LATER = (408, 429)
"""Answers besides 5xx that say "try again": too slow, and too many requests, as of a whole cluster at once."""


class DamagedSampleError(ValueError):
    """A sample that is missing or not what was written."""


class SampleFolder:
    """Writes the samples of a set as files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in (SAMPLES, HOLES):
            (root / folder).mkdir(parents=True, exist_ok=True)

    def add(self, line: dict[str, Any], files: dict[str, bytes]) -> list[dict[str, Any]]:
        """Write a sample; return the lines of the index that hold from now on."""
        for ending, content in files.items():
            _path(self.root, line["id"], ending).write_bytes(content)
        return [line]

    def close(self) -> list[dict[str, Any]]:
        return []


class ShardWriter:
    """Writes the samples of a set into shards, ``shards/RANK-NUMBER.tar``.

    A shard gets its name when it is complete; only then its samples may enter the index. What an interruption leaves
    is a file named ``.part``, which the next run overwrites.

    Args:
        root: the set.
        rank: ranks write side by side, each its own shards.
        samples: to a shard.
    """

    def __init__(self, root: Path, *, rank: int, samples: int) -> None:
        self.root, self.rank, self.samples = root, rank, samples
        self.pending: list[dict[str, Any]] = []
        (root / SHARDS).mkdir(parents=True, exist_ok=True)

    def add(self, line: dict[str, Any], files: dict[str, bytes]) -> list[dict[str, Any]]:
        """Write a sample; return the lines of the index that hold from now on: none, or those of a whole shard."""
        if not self.pending:
            self._begin()
        key = f"{Path(self.name).stem}-{len(self.pending):06d}"
        # A shard that lost its index can still be read: who is who stands beside the picture.
        content = pack(key, files | {"json": json.dumps(line).encode()})
        place = {"shard": self.name, "offset": self.file.tell(), "length": len(content), "crc32": zlib.crc32(content)}
        self.file.write(content)
        self.pending.append(line | place)
        return self.close() if len(self.pending) == self.samples else []

    def close(self) -> list[dict[str, Any]]:
        """Complete the shard that is being written, be it a smaller one."""
        if not self.pending:
            return []
        with self.file:
            self.file.write(_END_OF_TAR)
            self.file.flush()
            os.fsync(self.file.fileno())
        self.part.replace(self.root / self.name)
        lines, self.pending = self.pending, []
        return lines

    def _begin(self) -> None:
        number = 0
        while (path := self.root / SHARDS / f"{self.rank:05d}-{number:06d}.tar").exists():
            number += 1
        self.name, self.part = f"{SHARDS}/{path.name}", path.with_suffix(".part")
        self.file = self.part.open("wb")


def pack(key: str, files: dict[str, bytes]) -> bytes:
    """A piece of a tar file: each file with its header, named KEY.ENDING."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for ending, content in files.items():
            member = tarfile.TarInfo(f"{key}.{ending}")
            member.size, member.mode = len(content), 0o644
            tar.addfile(member, io.BytesIO(content))
        length = buffer.tell()
    return buffer.getvalue()[:length]


def unpack(content: bytes) -> dict[str, bytes]:
    """The inverse of :func:`pack`, without the key."""
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        files = {member.name.split(".", 1)[1]: tar.extractfile(member) for member in tar}
        return {ending: file.read() for ending, file in files.items() if file is not None}


def sample_files(root: Path | str, line: dict[str, Any]) -> dict[str, bytes]:
    """The files of a sample of the set at ``root``, a folder or a URL, from its line in the index.

    Raises:
        DamagedSampleError: a file is missing, cannot be read, or is not what was written into the shard.
        OSError: the server of a URL was not reached, or does not send parts of files.
        ValueError: a URL of a set that does not lie in shards.
    """
    if "shard" not in line:
        if is_url(root):
            raise ValueError(f"{root}: its samples do not lie in shards. Prepare the set with --samples-per-shard.")
        optional = {"found_hole": "hole.png", "covered_landmarks": "hole.npy"}
        endings = ["png", "npy", *(ending for key, ending in optional.items() if key in line)]
        try:
            return {ending: _path(Path(root), line["id"], ending).read_bytes() for ending in endings}
        except OSError as error:
            raise DamagedSampleError(f"{root}: damaged sample: {line['id']}: {error}.") from error
    content = _read(root, line["shard"], line["offset"], line["length"])
    if zlib.crc32(content) != line["crc32"]:
        raise DamagedSampleError(f"{root}: damaged sample: {line['id']}: not what was written into {line['shard']}.")
    return unpack(content)


def is_url(root: Path | str) -> bool:
    """Whether a set is read over the web."""
    return str(root).startswith(("http://", "https://"))


def _path(root: Path, id: str, ending: str) -> Path:
    folder, ending = (HOLES, ending.removeprefix("hole.")) if ending.startswith("hole.") else (SAMPLES, ending)
    return root / folder / f"{id}.{ending}"


def _read(root: Path | str, name: str, offset: int, length: int) -> bytes:
    if is_url(root):
        return fetch(f"{root}/{name}", start=offset, stop=offset + length)
    try:
        with (Path(root) / name).open("rb") as file:
            file.seek(offset)
            return file.read(length)
    except OSError as error:
        raise DamagedSampleError(f"{root}: damaged sample: {error}.") from error


def fetch(url: str, *, start: int = 0, stop: int | None = None) -> bytes:
    """A file of a web server, or the bytes from ``start`` to before ``stop``, in three attempts.

    Raises:
        OSError: none succeeded, or the server sent something else.
    """
    request = urllib.request.Request(url, headers={} if stop is None else {"Range": f"bytes={start}-{stop - 1}"})
    for pause in (*_PAUSES, None):
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                if stop is not None and response.status != 206:
                    raise OSError(f"{url}: the server does not send parts of files (HTTP Range). Use another server.")
                return bytes(response.read())
        except urllib.error.HTTPError as error:
            error.close()
            if pause is None or (error.code < 500 and error.code not in _LATER):
                raise OSError(f"{url}: {error.code} {error.reason}") from error
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
            if pause is None:
                raise OSError(f"{url}: not reached: {getattr(error, 'reason', error)}") from error
        time.sleep(pause)
    raise AssertionError("unreachable")
