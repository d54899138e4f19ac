"""Photos of faces → a training set of aligned crops with their landmarks.

    python -m examples.mask_removal.prepare PHOTOS... --output DIR
    torchrun --nnodes 4 ... -m examples.mask_removal.prepare PHOTOS... --output DIR --samples-per-shard 1000

PHOTOS are folders or tar files of photos; aligned FFHQ crops and CelebA's identities are recognised. The set can be
interrupted and continued: run the same command again, on as many machines as there are. More photos, and identities,
can be added later; a photo is known by its path.

    DIR/index.jsonl           one line per photo: id, source, identity, head pose, place; or why it was skipped
    DIR/set.json              what all of its crops have in common
    DIR/samples/ID.png        the crop
    DIR/samples/ID.npy        its 478 landmarks, float32 (478, 2), from which holes are drawn
    DIR/holes/ID.png          the hole that the segmenter found for a face mask drawn on the crop
    DIR/holes/ID.npy          the landmarks that were believed under it
    DIR/shards/*.tar          the same in WebDataset's form, instead of samples/ and holes/
    DIR/report.json           how many were taken and skipped, and why
    DIR/sheet.png             a look at some of them, with their holes
"""

from examples.mask_removal.needs import needs

if __name__ == "__main__":
    needs("train", "tqdm", "cv2", "mediapipe", "PIL")

import argparse
import contextlib
import functools
import json
import os
import sys
import tarfile
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

import torch.distributed
from tqdm import tqdm

from examples.mask_removal.crops import prepare_photo
from examples.mask_removal.layouts import is_ffhq
from examples.mask_removal.one_line import one_line
from examples.mask_removal.photo_sources import new_photos
from examples.mask_removal.run_lock import held
from examples.mask_removal.shards import SampleFolder, ShardWriter
from examples.mask_removal.training_set import (
    check_settings,
    join_parts,
    part_file,
    read_identities,
    read_index,
    read_lines,
    read_parts,
    write_lines,
    write_report,
)
from examples.mask_removal.worker_pool import in_processes

SIZES = range(16, 4097)

EXAMPLES = """\
examples:
  python -m examples.mask_removal.prepare photos/ --output SET --size 128
  python -m examples.mask_removal.prepare ffhq/ more.tar --output SET --identities who.csv --workers 8
  python -m examples.mask_removal.prepare celeba/ --output SET --samples-per-shard 1000 --no-found-holes

who.csv:   a line "id,identity", then one for each photo; id is its path in its folder without ending, "/" as "__"
exit code: 0 done; 2 not possible, no face in any photo, or a source that is damaged; 130 interrupted
"""


def prepare(
    sources: list[Path],
    output: Path,
    *,
    size: int,
    aligned: bool,
    identities: dict[str, str],
    workers: int,
    samples_per_shard: int = 0,
    found_holes: bool = True,
    rank: int = 0,
    world_size: int = 1,
) -> dict[str, Any] | None:
    """Prepare every photo of ``sources`` that the set does not hold yet; return the report, on rank 0.

    Every rank writes a part of the index of its own. When all have finished, rank 0 joins them in the order of the
    ids: the same photos make the same set, on however many machines and after however many interruptions.
    """
    output.mkdir(parents=True, exist_ok=True)
    index = read_index(output) + read_parts(output)
    check_settings(output, index, {"size": size, "aligned": aligned})
    part = part_file(output, rank)
    write_lines(part, read_lines(part))  # without a cut-off last line, so that what follows is on a line of its own
    damaged: list[str] = []
    items = new_photos(sources, index, output=output, damaged=damaged, rank=rank, world_size=world_size)
    work = functools.partial(prepare_photo, size=size, aligned=aligned, found_holes=found_holes)
    done = in_processes(work, items, workers) if workers else (work(item) for item in items)
    store = ShardWriter(output, rank=rank, samples=samples_per_shard) if samples_per_shard else SampleFolder(output)
    with contextlib.closing(done), part.open("a", encoding="utf-8") as file:
        try:
            for line, files in tqdm(done, unit=" photos", initial=len(index), disable=True if rank else None):
                _note(file, store.add(line, files) if files else [line])
        finally:  # an interruption costs no photo that is done
            _note(file, store.close())
    _wait_for_all(world_size)
    if rank:
        return None
    join_parts(output, identities)
    return write_report(output, damaged=damaged)


def _note(file: IO[str], lines: list[dict[str, Any]]) -> None:
    file.writelines(json.dumps(line) + "\n" for line in lines)
    file.flush()


def _wait_for_all(world_size: int) -> None:
    if world_size > 1:
        # The slowest machine may need days longer than the fastest; one that dies is torchrun's business.
        torch.distributed.init_process_group("gloo", timeout=timedelta(days=7))
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.mask_removal.prepare",
        description="Photos of faces → a training set of aligned crops with their landmarks. The same command goes on "
        "after an interruption, and adds photos.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("photos", nargs="+", type=Path, metavar="PHOTOS", help="folders or tar files of photos")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="SET", help="the training set's folder; continued when it exists"
    )
    parser.add_argument(
        "--size", type=int, default=256, metavar="PIXELS", help="side of the crops in pixels (default 256)"
    )
    parser.add_argument(
        "--aligned",
        action=argparse.BooleanOptionalAction,
        help="the photos are FFHQ-style crops already: only resize them (default: where FFHQ is recognised)",
    )
    parser.add_argument(
        "--identities", type=Path, metavar="CSV", help="CSV with columns id and identity: whose face it is"
    )
    parser.add_argument(
        "--workers", type=int, default=2, metavar="N", help="processes of a rank; 0 works in this one (default 2)"
    )
    parser.add_argument(
        "--samples-per-shard", type=int, default=0, metavar="N", help="write tar shards of N samples, not files"
    )
    parser.add_argument(
        "--found-holes",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="also store a hole that the segmenter found (default; takes most of the time)",
    )
    options = parser.parse_args(arguments)
    rank, world_size = (int(os.environ.get(name, alone)) for name, alone in (("RANK", 0), ("WORLD_SIZE", 1)))
    try:
        _check(options)
        if options.aligned is None:
            options.aligned = all(
                source.is_dir() and is_ffhq(source, output=options.output) for source in options.photos
            )
            if options.aligned and not rank:
                print("prepare: recognised as FFHQ: its crops are only resized; --no-aligned aligns them anew.")
        identities = read_identities(options.identities)
        options.output.mkdir(parents=True, exist_ok=True)
        busy = f"{options.output}: another process is preparing this set. Wait for its end, or stop it."
        with held(options.output / f".lock-{rank:05d}", busy=busy):
            report = prepare(
                options.photos,
                options.output,
                size=options.size,
                aligned=options.aligned,
                identities=identities,
                workers=options.workers,
                samples_per_shard=options.samples_per_shard,
                found_holes=options.found_holes,
                rank=rank,
                world_size=world_size,
            )
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        print(f"prepare: {one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("prepare: interrupted; the same command goes on from here.", file=sys.stderr)
        return 130
    if report is None:
        return 0
    for problem in report["damaged_sources"]:
        print(f"prepare: {problem}", file=sys.stderr)
    if options.identities:
        ids = {line["id"] for line in read_index(options.output)}
        named = len(ids & identities.keys())
        print(f"{options.identities}: says of {named} of {len(ids)} photos whose face it is.")
        if ids and not named:
            example = f"got {next(iter(identities), 'none')}, expected one such as {min(ids)}"
            print(f"prepare: {options.identities}: no id is that of a photo; {example}.", file=sys.stderr)
            return 2
    print(f"{options.output}: {report['taken']} photos taken, {report['skipped']} skipped (see report.json).")
    return 2 if report["damaged_sources"] or not report["taken"] else 0


def _check(options: argparse.Namespace) -> None:
    if options.size not in SIZES:
        raise ValueError(f"--size must be from {SIZES.start} to {SIZES.stop - 1}; got {options.size}.")
    for name in ("workers", "samples_per_shard"):
        if getattr(options, name) < 0:
            raise ValueError(f"--{name.replace('_', '-')} must be 0 or more; got {getattr(options, name)}.")
    for source in options.photos:
        if not (source.is_dir() or (source.is_file() and tarfile.is_tarfile(source))):
            raise ValueError(f"{source}: expected a folder or a tar file of photos.")
    if options.identities and not options.identities.is_file():
        raise ValueError(f"{options.identities}: no such file.")


if __name__ == "__main__":
    sys.exit(main())
