"""Photos of faces → a training set of aligned crops with their landmarks.

    python -m examples.mask_removal.prepare PHOTOS... --output DIR

PHOTOS are folders or tar files of photos. The set can be interrupted and continued: run the same command again. More
photos, and identities, can be added later; a photo is known by its path.

    DIR/index.jsonl       one line per photo: its id, source, identity and head pose, or why it was skipped
    DIR/set.json          what all of its crops have in common
    DIR/samples/ID.png    the crop
    DIR/samples/ID.npy    its 478 landmarks, float32 (478, 2), from which the holes are drawn
    DIR/report.json       how many were taken and skipped, and why
    DIR/sheet.png         a look at some of them, with their holes
"""

import argparse
import contextlib
import functools
import io
import itertools
import json
import multiprocessing
import os
import signal
import sys
import tarfile
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from examples.mask_removal.photo_sources import SourcePhoto, new_photos
from examples.mask_removal.training_set import (
    INDEX_FILE,
    check_settings,
    read_identities,
    read_index,
    write_index,
    write_report,
)
from gatedinpaint import read_photo, write_photo
from gatedinpaint.faces import FaceLandmarker, align

SIZES = range(16, 4097)


@functools.cache
def _landmarker() -> FaceLandmarker:
    """One in each worker: MediaPipe does not survive a fork."""
    landmarker = FaceLandmarker()
    landmarker.detect(np.zeros((64, 64, 3), np.uint8))  # a bad model fails here, not as a fault of every photo
    return landmarker


def prepare_photo(item: SourcePhoto, *, output: Path, size: int, aligned: bool) -> dict[str, Any]:
    """Write the crop and the landmarks of one photo; return its line of the index."""
    line = {"id": item.id, "source": item.source}
    landmarker = _landmarker()
    try:
        content = item.content if isinstance(item.content, bytes) else item.content.read_bytes()
        photo = read_photo(io.BytesIO(content))
        faces = landmarker.detect(photo)
        if not faces:
            return line | {"skipped": "no face found"}
        face = faces[0]
        if not aligned:
            crop_of_face = align(photo, face.landmarks, size=size)
            crop, landmarks = crop_of_face.photo, crop_of_face.landmarks
        elif photo.shape[0] == photo.shape[1]:
            crop, landmarks = resize_square(photo, face.landmarks, size)
        else:
            return line | {"skipped": "not square, so not an aligned crop"}
    except OSError as error:
        return line | {"skipped": f"cannot be read: {error.strerror}"}
    except (ValueError, RuntimeError) as error:  # PhotoError is a ValueError; MediaPipe raises RuntimeError
        return line | {"skipped": str(error)}
    write_photo(output / "samples" / f"{item.id}.png", crop, overwrite=True)
    np.save(output / "samples" / f"{item.id}.npy", landmarks.astype(np.float32))
    return line | {"yaw": round(face.yaw, 1), "pitch": round(face.pitch, 1), "roll": round(face.roll, 1)}


def resize_square(photo: np.ndarray, landmarks: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Resize a square crop and move its landmarks along; pixel centres lie at integers."""
    import cv2

    scale = size / photo.shape[0]
    if scale == 1:
        return photo, landmarks
    resized = cv2.resize(photo, (size, size), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    return resized, (landmarks + 0.5) * scale - 0.5


def in_processes(
    work: Callable[[SourcePhoto], dict[str, Any]], items: Iterable[SourcePhoto], workers: int
) -> Generator[dict[str, Any]]:
    """What ``work`` makes of the items, in the order in which it gets done.

    Raises:
        RuntimeError: a worker process died; the message names the photos that the workers had.
    """
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))
    waiting: dict[Future[dict[str, Any]], SourcePhoto] = {}
    remaining = iter(items)
    try:
        with _interrupts_ignored():  # inherited by the workers: Ctrl-C is this process's business
            pool.submit(os.getpid)
        while True:
            for item in itertools.islice(remaining, 3 * workers - len(waiting)):  # not all: photos from tars are big
                waiting[pool.submit(work, item)] = item
            if not waiting:
                return
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                line = future.result()
                del waiting[future]
                yield line
    except BrokenProcessPool as error:
        wait(waiting)
        lost = [item.source for future, item in waiting.items() if future.exception()]
        raise RuntimeError(
            f"a worker process died, of lack of memory or of one of: {', '.join(lost[:workers])}. Move that photo away "
            "and run the same command again; with --workers 1 only one photo is named."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _interrupts_ignored() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def prepare(
    sources: list[Path], output: Path, *, size: int, aligned: bool, identities: dict[str, str], workers: int
) -> dict[str, Any]:
    """Prepare every photo of ``sources`` that the index does not hold yet; return the report."""
    (output / "samples").mkdir(parents=True, exist_ok=True)
    index = read_index(output)
    check_settings(output, index, {"size": size, "aligned": aligned})
    # Rewritten without a cut-off last line, so that what is appended starts on a line of its own.
    write_index(output, [_identified(line, identities) for line in index])
    damaged: list[str] = []
    items = new_photos(sources, index, output=output, damaged=damaged)
    work = functools.partial(prepare_photo, output=output, size=size, aligned=aligned)
    lines = in_processes(work, items, workers) if workers else (work(item) for item in items)
    with contextlib.closing(lines), (output / INDEX_FILE).open("a", encoding="utf-8") as file:
        for line in tqdm(lines, unit=" photos", initial=len(index), disable=None):
            file.write(json.dumps(_identified(line, identities)) + "\n")
            file.flush()
    return write_report(output, damaged=damaged)


def _identified(line: dict[str, Any], identities: dict[str, str]) -> dict[str, Any]:
    identity = identities.get(line["id"])
    return line | {"identity": identity} if identity else line


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
    try:
        _check(options)
        report = prepare(
            options.photos,
            options.output,
            size=options.size,
            aligned=options.aligned,
            identities=read_identities(options.identities),
            workers=options.workers,
        )
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        print(f"prepare: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("prepare: interrupted; the same command goes on from here.", file=sys.stderr)
        return 130
    for problem in report["damaged_sources"]:
        print(f"prepare: {problem}", file=sys.stderr)
    print(f"{options.output}: {report['taken']} photos taken, {report['skipped']} skipped (see report.json).")
    return 2 if report["damaged_sources"] or not report["taken"] else 0


def _check(options: argparse.Namespace) -> None:
    if options.size not in SIZES:
        raise ValueError(f"--size must be from {SIZES.start} to {SIZES.stop - 1}; got {options.size}.")
    if options.workers < 0:
        raise ValueError(f"--workers must be 0 or more; got {options.workers}.")
    for source in options.photos:
        if not (source.is_dir() or (source.is_file() and tarfile.is_tarfile(source))):
            raise ValueError(f"{source}: expected a folder or a tar file of photos.")
    if options.identities and not options.identities.is_file():
        raise ValueError(f"{options.identities}: no such file.")


if __name__ == "__main__":
    sys.exit(main())
