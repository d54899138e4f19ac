"""Whether a command or an example prints what a page shows of it."""

import re

import pytest

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_SECONDS = re.compile(r"\d+(?:\.\d+)?(?= s\b)|(?<=\"seconds\": )\d+(?:\.\d+)?")


def assert_shown(shown: str, printed: str) -> None:
    """The same words, and numbers that another processor may round otherwise: 1 % or one unit of the last digit.

    Times are any numbers. Line breaks count as spaces, since a page breaks long lines.
    """
    shown, printed = (" ".join(_SECONDS.sub("0", text).split()) for text in (shown, printed))
    assert _NUMBER.sub("#", printed) == _NUMBER.sub("#", shown)
    for ours, theirs in zip(_NUMBER.findall(printed), _NUMBER.findall(shown), strict=True):
        unit = 10.0 ** -len(theirs.partition(".")[2])
        assert float(ours) == pytest.approx(float(theirs), rel=0.01, abs=1.01 * unit), (printed, shown)
