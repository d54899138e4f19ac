"""The files of a training set beside its samples: index, settings, report. See ``prepare.py`` for what they hold."""

import csv
import io
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from examples.mask_removal.shards import SHARDS, fetch, is_url, sample_files
from examples.mask_removal.sheet import picture_sheet
from gatedinpaint import read_photo, write_photo
from gatedinpaint.faces import mask_polygon, polygon_hole

INDEX_FILE = "index.jsonl"
SETTINGS_FILE = "set.json"


def read_index(root: Path | str) -> list[dict[str, Any]]:
    """The lines of the index of the set at ``root``, a folder or a URL.

    Raises:
        ValueError: a line is damaged.
        OSError: a URL that is not reached.
    """
    if is_url(root):
        return _parse(fetch(f"{root}/{INDEX_FILE}"), f"{root}/{INDEX_FILE}")
    return read_lines(Path(root) / INDEX_FILE)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of an index or a part of it; none where it is missing. A last line that was cut off is left out."""
    return _parse(path.read_bytes(), str(path)) if path.is_file() else []


def _parse(content: bytes, name: str) -> list[dict[str, Any]]:
    index = []
    for number, text in enumerate(content.split(b"\n")[:-1], start=1):
        try:
            line = json.loads(text)
        except ValueError:  # also UnicodeDecodeError
            line = None
        if not isinstance(line, dict) or not all(isinstance(line.get(key, ""), str) for key in ("id", "identity")):
            line = {}
        if not line.get("id"):
            raise ValueError(f"{name}, line {number}: damaged: expected an object with an id. Remove this line.")
        index.append(line)
    return index


def write_lines(path: Path, index: list[dict[str, Any]]) -> None:
    """Replace an index; it is there whole at any time."""
    temporary = path.with_name(f"{path.name}.part")
    temporary.write_text("".join(json.dumps(line) + "\n" for line in index), encoding="utf-8")
    temporary.replace(path)


def part_file(folder: Path, rank: int) -> Path:
    """What a rank of ``prepare.py`` appends to: rank 0 the index itself, the others a part of their own."""
    return folder / (f"index.{rank:05d}.jsonl" if rank else INDEX_FILE)


def parts_of(folder: Path) -> list[Path]:
    """The parts that are not joined yet, of this run of ``prepare.py`` or of one that was interrupted."""
    return sorted(folder.glob("index.*.jsonl"))


def read_parts(folder: Path) -> list[dict[str, Any]]:
    """The lines of all parts."""
    return [line for path in parts_of(folder) for line in read_lines(path)]


def join_parts(folder: Path, identities: dict[str, str]) -> None:
    """Make one index of all parts, ordered by id, with the identities (id → identity) that are known now, and clear
    away what interrupted ranks left behind."""
    parts = parts_of(folder)
    # A part whose lines are in the index already is what an interruption right here leaves behind.
    lines = {line["id"]: line for line in read_index(folder) + read_parts(folder)}
    for id, identity in identities.items():
        if id in lines:
            lines[id] = lines[id] | {"identity": identity}
    write_lines(folder / INDEX_FILE, [lines[id] for id in sorted(lines)])
    for path in [*parts, *(folder / SHARDS).glob("*.part")]:
        path.unlink()


def check_settings(folder: Path, index: list[dict[str, Any]], settings: dict[str, Any]) -> None:
    """Write ``set.json`` in a set that begins; raise when one that goes on was begun with other settings."""
    path = folder / SETTINGS_FILE
    if not index:
        temporary = path.with_name(f"{path.name}.{os.getpid()}.part")  # ranks may write it at the same time
        temporary.write_text(json.dumps(settings) + "\n", encoding="utf-8")
        temporary.replace(path)
    elif path.is_file():
        try:
            begun = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{path}: damaged: {error}") from error
        if begun != settings:
            raise ValueError(f"{folder} was begun with {begun}; got {settings}. Choose another --output.")
    elif taken := [line for line in index if "skipped" not in line]:
        side = len(read_photo(io.BytesIO(sample_files(folder, taken[0])["png"])))
        if side != settings["size"]:
            raise ValueError(
                f"{folder} holds crops of {side} pixels; got size {settings['size']}. Choose another --output."
            )


def read_identities(path: Path | None) -> dict[str, str]:
    """id → identity, from a CSV file with these columns."""
    if path is None:
        return {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if not {"id", "identity"} <= set(reader.fieldnames or ()):
                raise ValueError(f"got {list(reader.fieldnames or ())}")
            return {row["id"]: row["identity"] for row in reader if row["identity"]}
    except (ValueError, csv.Error) as error:
        raise ValueError(f"{path}: expected a CSV file in UTF-8 with columns id and identity; {error}.") from error


def write_report(folder: Path, *, damaged: list[str]) -> dict[str, Any]:
    """Write ``report.json`` and ``sheet.png`` from the index and what was wrong with sources; return the report."""
    index = read_index(folder)
    taken = [line for line in index if "skipped" not in line]
    skipped = {line["id"]: line["skipped"] for line in index if "skipped" in line}
    reasons = Counter(reason.removeprefix("photo: ") for reason in skipped.values())
    report = {
        "taken": len(taken),
        "skipped": len(skipped),
        "reasons": dict(reasons),
        "skipped_photos": skipped,
        "damaged_sources": damaged,
    }
    # ASCII: paths need not be Unicode.
    (folder / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="ascii")
    pictures = []
    for line in taken[:: max(1, len(taken) // 32)][:32]:
        files = sample_files(folder, line)
        photo = read_photo(io.BytesIO(files["png"]))
        hole = polygon_hole(mask_polygon(np.load(io.BytesIO(files["npy"]))), photo.shape[:2])
        pictures.append(np.where(hole[..., None], photo // 2 + np.array([0, 64, 127], np.uint8), photo))
    if pictures:
        rows = [pictures[start : start + 8] for start in range(0, len(pictures), 8)]
        write_photo(folder / "sheet.png", picture_sheet(rows), overwrite=True)
    return report
