"""The files of a training set beside its samples: index, settings, report. See ``prepare.py`` for what they hold."""

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from examples.mask_removal.sheet import picture_sheet
from gatedinpaint import read_photo, write_photo
from gatedinpaint.faces import mask_polygon, polygon_hole

INDEX_FILE = "index.jsonl"
SETTINGS_FILE = "set.json"


def read_index(folder: Path) -> list[dict[str, Any]]:
    """The lines of a training set's index. A last line that an interruption cut off is left out.

    Raises:
        ValueError: another line is damaged.
    """
    path = folder / INDEX_FILE
    if not path.is_file():
        return []
    index = []
    for number, text in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
        try:
            line = json.loads(text)
        except ValueError:  # also UnicodeDecodeError
            line = None
        if not isinstance(line, dict) or not all(isinstance(line.get(key, ""), str) for key in ("id", "identity")):
            line = {}
        if not line.get("id"):
            raise ValueError(f"{path}, line {number}: damaged: expected an object with an id. Remove this line.")
        index.append(line)
    return index


def write_index(folder: Path, index: list[dict[str, Any]]) -> None:
    """Replace the index; it is there whole at any time."""
    temporary = folder / f"{INDEX_FILE}.part"
    temporary.write_text("".join(json.dumps(line) + "\n" for line in index), encoding="utf-8")
    temporary.replace(folder / INDEX_FILE)


def check_settings(folder: Path, index: list[dict[str, Any]], settings: dict[str, Any]) -> None:
    """Write ``set.json`` in a set that begins; raise when one that goes on was begun with other settings."""
    path = folder / SETTINGS_FILE
    if not index:
        path.write_text(json.dumps(settings) + "\n", encoding="utf-8")
    elif path.is_file():
        try:
            begun = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{path}: damaged: {error}") from error
        if begun != settings:
            raise ValueError(f"{folder} was begun with {begun}; got {settings}. Choose another --output.")
    elif taken := [line for line in index if "skipped" not in line]:
        side = len(read_photo(folder / "samples" / f"{taken[0]['id']}.png"))
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
        photo = read_photo(folder / "samples" / f"{line['id']}.png")
        hole = polygon_hole(mask_polygon(np.load(folder / "samples" / f"{line['id']}.npy")), photo.shape[:2])
        pictures.append(np.where(hole[..., None], photo // 2 + np.array([0, 64, 127], np.uint8), photo))
    if pictures:
        rows = [pictures[start : start + 8] for start in range(0, len(pictures), 8)]
        write_photo(folder / "sheet.png", picture_sheet(rows), overwrite=True)
    return report
