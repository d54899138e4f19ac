"""Tables that the documentation shows: printed, and with ``--output`` written into a file that a page includes."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown.

    >>> print(table(["set", "error"], [["a", "0.1"], ["b", "0.2"]]))
    | set | error |
    |---|---|
    | a | 0.1 |
    | b | 0.2 |
    """
    head, *body = (f"| {' | '.join(cells)} |" for cells in (header, *rows))
    return "\n".join([head, f"|{'---|' * len(header)}", *body])


def add_output(parser: argparse.ArgumentParser) -> None:
    """The option ``--output``."""
    parser.add_argument("--output", type=place, metavar="FILE", help="also write what is printed, Markdown, into FILE")


def place(name: str) -> Path:
    """A file that can be written, its folder made: what is measured for hours must have a place.

    Raises:
        argparse.ArgumentTypeError: it is a folder, or nothing can be written there.
    """
    path = Path(name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{name} cannot be written: {error.strerror}") from None
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"must be a file that can be written; got {name}")
    return path


def json_place(name: str) -> Path:
    """The same for a file of figures, whose table and plot go beside it under other endings."""
    if Path(name).suffix != ".json":
        raise argparse.ArgumentTypeError(f"must end in .json; got {name}. Table and plot are written beside it")
    return place(name)


def folder(name: str) -> Path:
    """A folder that is there: of one that is not, tables would show zeros."""
    if not Path(name).is_dir():
        raise argparse.ArgumentTypeError(f"must be a folder; got {name}")
    return Path(name)


def publish(parts: Sequence[str], output: Path | None) -> None:
    """Print tables and paragraphs, and write them into ``output``, which is then complete or as it was before."""
    text = "\n\n".join(part for part in parts if part)
    print(text)
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        unfinished = output.with_name(f".{output.name}.unfinished")
        unfinished.write_text(text + "\n", encoding="utf-8")
        unfinished.replace(output)
