"""Tables that the documentation shows: printed, and with ``--output`` written into a file that a page includes."""

import argparse
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
    parser.add_argument("--output", type=Path, metavar="FILE", help="also write what is printed, Markdown, into FILE")


def publish(parts: Sequence[str], output: Path | None) -> None:
    """Print tables and paragraphs, and write them into ``output``, which is then complete or as it was before."""
    text = "\n\n".join(part for part in parts if part)
    print(text)
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        unfinished = output.with_name(f".{output.name}.unfinished")
        unfinished.write_text(text + "\n", encoding="utf-8")
        unfinished.replace(output)
