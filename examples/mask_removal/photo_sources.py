"""Folders and tar files of photos → photos with ids under which their samples can be stored."""

import hashlib
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

from examples.mask_removal.layouts import PHOTO_ENDINGS, CelebAIdentities

_LONGEST_ID = 150
"""In bytes: file systems take 255, and temporary names are longer than the id."""
UNREAD = "cannot be read: "
"""How the reason begins why a photo was skipped that was not even looked at: the next run tries it again."""


class SourcePhoto(NamedTuple):
    """A photo of a source, not read yet unless it comes out of a tar file."""

    source: str
    """Its absolute path, or that of its tar file and the name in there: what a continued set knows it by."""
    id: str
    content: Path | bytes
    identity: str | None = None
    """Who is on it, where the layout of the source says so."""


def new_photos(
    sources: list[Path],
    index: list[dict[str, Any]],
    *,
    output: Path,
    damaged: list[str],
    rank: int = 0,
    world_size: int = 1,
) -> Iterator[SourcePhoto]:
    """The photos that the index does not hold yet, each with an id of its own.

    The id is the path without ending, "/" replaced by "__". Where another photo has that id, or it would not do as the
    name of a file, the start of a hash of the source is appended; so a continued run finds the same ids.

    Args:
        sources: folders, with their subfolders, and tar files.
        index: lines of the set so far. Lines without a source are taken to mean the photo of that id; photos that
            could not be read count as new.
        output: the set's own folder, which is left out where it lies inside a source.
        damaged: receives a line for every source that could not be read to its end.
        rank: of ``world_size`` processes that share the work. The photo's source decides whose it is, whatever the
            index holds already.
    """
    index = [line for line in index if not line.get("skipped", "").startswith(UNREAD)]
    done = {line["source"] for line in index if "source" in line}
    known_by_id = {line["id"] for line in index if "source" not in line}
    taken = {line["id"] for line in index}
    for place in sources:
        celeba = CelebAIdentities(place.resolve())
        try:
            for source, name, content in _files(place, output.resolve()):
                if source in done:
                    continue
                done.add(source)
                plain = str(name.with_suffix("")).replace("/", "__").lstrip(".")
                if plain in known_by_id:
                    known_by_id.remove(plain)  # of two photos with this id it is the first, now as then
                    continue
                id = _file_name(plain)
                if id != plain or id in taken:
                    id += "-" + hashlib.sha256(source.encode(errors="surrogatepass")).hexdigest()[:10]
                taken.add(id)
                if zlib.crc32(source.encode(errors="surrogatepass")) % world_size == rank:
                    read = content if isinstance(content, Path) else content.read()
                    yield SourcePhoto(source, id, read, celeba.of(source))
        except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError) as error:
            damaged.append(f"{place}: could not be read to its end: {error}.")


def _files(place: Path, output: Path) -> Iterator[tuple[str, PurePosixPath, Path | IO[bytes]]]:
    """(source, name inside the place, its file; an open one is to be read before the next is asked for) of all."""
    place = place.resolve()
    if place.is_dir():
        for path in sorted(place.rglob("*")):
            if path.suffix.lower() in PHOTO_ENDINGS and path.is_file() and output not in path.parents:
                yield str(path), PurePosixPath(path.relative_to(place)), path
    else:
        with tarfile.open(place) as tar:
            for member in tar:
                name = PurePosixPath(member.name)
                file = tar.extractfile(member) if member.isfile() else None
                if file is not None and name.suffix.lower() in PHOTO_ENDINGS:
                    yield f"{place}:{member.name}", name, file
            # An archive ends in a block of zeros; tarfile takes one that is cut off in a header for a complete one.
            tar.fileobj.seek(tar.offset)
            if tar.fileobj.read(512) != bytes(512):
                raise tarfile.ReadError("its end mark is missing")


def _file_name(plain: str) -> str:
    """The id with what is no printable text replaced, and short enough."""
    text = "".join(character if character.isprintable() else "_" for character in plain) or "photo"
    encoded = text.encode()
    return text if len(encoded) <= _LONGEST_ID else encoded[: _LONGEST_ID - 20].decode(errors="ignore")
