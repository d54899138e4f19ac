"""Photos of faces → a training set of aligned crops with their landmarks.

    python -m examples.mask_removal.prepare PHOTOS... --output DIR

PHOTOS are folders or tar files of photos. The set can be interrupted and continued: run the same command again.

    DIR/index.jsonl       one line per photo: its id, identity and head pose, or why it was skipped
    DIR/samples/ID.png    the crop
    DIR/samples/ID.npy    its 478 landmarks, float32 (478, 2), from which the holes are drawn
    DIR/report.json       how many were taken and skipped, and why
    DIR/sheet.png         a look at some of them, with their holes
"""

import argparse
import contextlib
import csv
import functools
import io
import json
import multiprocessing
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from examples.mask_removal.sheet import picture_sheet
from gatedinpaint import read_photo, write_photo
from gatedinpaint.faces import FaceLandmarker, align, mask_polygon, polygon_hole

PHOTO_ENDINGS = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}
INDEX_FILE = "index.jsonl"


def photos(source: Path) -> Iterator[tuple[str, bytes]]:
    """(id, file content) of every photo in a folder, its subfolders, or a tar file. The id is the path without
    ending."""
    if source.is_dir():
        for path in sorted(source.rglob("*")):
            if path.suffix.lower() in PHOTO_ENDINGS and path.is_file():
                yield _id(path.relative_to(source)), path.read_bytes()
    else:
        with tarfile.open(source) as tar:
            for member in tar:
                file = tar.extractfile(member) if member.isfile() else None
                if file is not None and Path(member.name).suffix.lower() in PHOTO_ENDINGS:
                    yield _id(Path(member.name)), file.read()


def _id(path: Path) -> str:
    return str(path.with_suffix("")).replace("/", "__").lstrip(".")


@functools.cache
def _landmarker() -> FaceLandmarker:
    return FaceLandmarker()  # one in each worker: MediaPipe does not survive a fork


def prepare_photo(item: tuple[str, bytes], *, output: Path, size: int, aligned: bool) -> dict[str, Any]:
    """Write the crop and the landmarks of one photo; return its line of the index."""
    id, content = item
    try:
        photo = read_photo(io.BytesIO(content))
        faces = _landmarker().detect(photo)
    except ValueError as error:  # PhotoError is one
        return {"id": id, "skipped": str(error)}
    if not faces:
        return {"id": id, "skipped": "no face found"}
    face = faces[0]
    if aligned:
        if photo.shape[0] != photo.shape[1]:
            return {"id": id, "skipped": "not square, so not an aligned crop"}
        crop, landmarks = resize_square(photo, face.landmarks, size)
    else:
        crop_of_face = align(photo, face.landmarks, size=size)
        crop, landmarks = crop_of_face.photo, crop_of_face.landmarks
    write_photo(output / "samples" / f"{id}.png", crop, overwrite=True)
    np.save(output / "samples" / f"{id}.npy", landmarks.astype(np.float32))
    return {"id": id, "yaw": round(face.yaw, 1), "pitch": round(face.pitch, 1), "roll": round(face.roll, 1)}


def resize_square(photo: np.ndarray, landmarks: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Resize a square crop and move its landmarks along; pixel centres lie at integers."""
    import cv2

    scale = size / photo.shape[0]
    if scale == 1:
        return photo, landmarks
    resized = cv2.resize(photo, (size, size), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    return resized, (landmarks + 0.5) * scale - 0.5


def read_index(folder: Path) -> list[dict[str, Any]]:
    """The lines of a training set's index. A last line that an interruption cut off is left out."""
    path = folder / INDEX_FILE
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def read_identities(path: Path | None) -> dict[str, str]:
    """id → identity, from a CSV file with these columns."""
    if path is None:
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        return {row["id"]: row["identity"] for row in csv.DictReader(file) if row["identity"]}


def write_report(folder: Path) -> dict[str, Any]:
    """Write ``report.json`` and ``sheet.png`` from the index; return the report."""
    index = read_index(folder)
    taken = [line for line in index if "skipped" not in line]
    skipped = {line["id"]: line["skipped"] for line in index if "skipped" in line}
    reasons = Counter(reason.removeprefix("photo: ") for reason in skipped.values())
    report = {"taken": len(taken), "skipped": len(skipped), "reasons": dict(reasons), "skipped_photos": skipped}
    (folder / "report.json").write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    pictures = []
    for line in taken[:: max(1, len(taken) // 32)][:32]:
        photo = read_photo(folder / "samples" / f"{line['id']}.png")
        hole = polygon_hole(mask_polygon(np.load(folder / "samples" / f"{line['id']}.npy")), photo.shape[:2])
        pictures.append(np.where(hole[..., None], photo // 2 + np.array([0, 64, 127], np.uint8), photo))
    if pictures:
        rows = [pictures[start : start + 8] for start in range(0, len(pictures), 8)]
        write_photo(folder / "sheet.png", picture_sheet(rows), overwrite=True)
    return report


def prepare(
    sources: list[Path], output: Path, *, size: int, aligned: bool, identities: dict[str, str], workers: int
) -> dict[str, Any]:
    """Prepare every photo of ``sources`` that the index does not hold yet; return the report."""
    (output / "samples").mkdir(parents=True, exist_ok=True)
    index = read_index(output)
    # Rewritten without a cut-off last line, so that what is appended starts on a line of its own.
    (output / INDEX_FILE).write_text("".join(json.dumps(line) + "\n" for line in index), encoding="utf-8")
    done = {line["id"] for line in index}
    items = _without(done, (item for source in sources for item in photos(source)))
    work = functools.partial(prepare_photo, output=output, size=size, aligned=aligned)
    with contextlib.ExitStack() as stack:
        file = stack.enter_context((output / INDEX_FILE).open("a", encoding="utf-8"))
        if workers:
            pool = stack.enter_context(multiprocessing.get_context("spawn").Pool(workers))
            lines = pool.imap(work, items, chunksize=8)
        else:
            lines = map(work, items)
        for line in tqdm(lines, unit=" photos", initial=len(done)):
            if identity := identities.get(line["id"]):
                line["identity"] = identity
            file.write(json.dumps(line) + "\n")
            file.flush()
    return write_report(output)


def _without(done: set[str], items: Iterator[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    """The items whose id is new; of several with one id the first."""
    seen = set(done)
    for id, content in items:
        if id not in seen:
            seen.add(id)
            yield id, content


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="prepare", description=__doc__.split("\n\n")[0])
    parser.add_argument("photos", nargs="+", type=Path, help="folders or tar files of photos")
    parser.add_argument(
        "--output", type=Path, required=True, help="the training set's folder; continued when it exists"
    )
    parser.add_argument("--size", type=int, default=256, help="side of the crops in pixels (default 256)")
    parser.add_argument(
        "--aligned", action="store_true", help="the photos are FFHQ-style crops already: only resize them"
    )
    parser.add_argument("--identities", type=Path, help="CSV with columns id and identity: whose face it is")
    parser.add_argument("--workers", type=int, default=2, help="processes; 0 works in this one (default 2)")
    options = parser.parse_args(arguments)
    for source in options.photos:
        if not (source.is_dir() or (source.is_file() and tarfile.is_tarfile(source))):
            print(f"prepare: {source}: expected a folder or a tar file of photos.", file=sys.stderr)
            return 2
    if options.identities and not options.identities.is_file():
        print(f"prepare: {options.identities}: no such file.", file=sys.stderr)
        return 2
    report = prepare(
        options.photos,
        options.output,
        size=options.size,
        aligned=options.aligned,
        identities=read_identities(options.identities),
        workers=options.workers,
    )
    print(f"{options.output}: {report['taken']} photos taken, {report['skipped']} skipped (see report.json).")
    return 0 if report["taken"] else 2


if __name__ == "__main__":
    sys.exit(main())
