"""What was done to each photo and to all of them, for people and for machines."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from examples.mask_removal.pipeline import FilledFace, Origin, Removal
from examples.mask_removal.removal_files import LOSSY_ENDINGS, Job

Status = Literal["done", "unchanged", "kept", "failed"]


@dataclass(frozen=True)
class FaceReport:
    """One face that was worked on."""

    box: list[int]
    """Left, top, right and bottom of the face in pixels of the photo."""
    pixels: int
    source: str
    """segmentation: the pixels found; polygon: the usual outline, because they were not clear; given: --mask."""
    quality: float | None
    """0 to 1: how clearly the face mask stood out; nothing where the hole was given."""


@dataclass(frozen=True)
class PhotoReport:
    """One photo."""

    photo: str
    status: Status
    output: str | None = None
    error: str | None = None
    faces: Sequence[FaceReport] = ()
    pixels: int = 0
    """How many were filled."""
    guided: float = 0.0
    """Share of them for which the reference shows the same place."""
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """As it is printed with ``--json``."""
        return asdict(self)

    def __str__(self) -> str:
        if self.status == "kept":
            return f"{self.output}: is there already, and was left as it is."
        if self.status == "unchanged":
            return f"{self.output}: nobody wears a face mask; the photo is as it was."
        doubtful = sum(face.source == "polygon" for face in self.faces)
        shares = f"{self.guided:.0%} guided by the reference, {1 - self.guided:.0%} invented"
        lossy = str(self.output).lower().endswith(LOSSY_ENDINGS)
        return (
            f"{self.output}: {len(self.faces)} face{'s'[: len(self.faces) > 1]}, {self.pixels} pixels filled, "
            f"{shares if self.guided else 'all of them invented'}, in {self.seconds:.1f} s."
            + (f" On {doubtful} the outline of the mask was not clear: the usual one was taken." if doubtful else "")
            + (" This format compresses the rest of the photo anew; .png keeps every byte of it." if lossy else "")
        )


def report_of(job: Job, removal: Removal) -> PhotoReport:
    """What was done to one photo."""
    filled = removal.origin[removal.hole]
    return PhotoReport(
        photo=str(job.photo),
        status="done" if len(filled) else "unchanged",
        output=str(job.output),
        faces=[_face(face) for face in removal.faces],
        pixels=len(filled),
        guided=round(float(np.mean(filled == Origin.GUIDED)), 4) if len(filled) else 0.0,
        seconds=round(sum(removal.seconds.values()), 3),
    )


def summary(reports: Sequence[PhotoReport], seconds: float) -> dict[str, Any]:
    """How many photos had which end."""
    ends = Counter(report.status for report in reports)
    numbers = {status: ends[status] for status in ("done", "unchanged", "kept", "failed")}
    return {"photos": len(reports), **numbers, "seconds": round(seconds, 1)}


def summary_line(numbers: dict[str, Any]) -> str:
    """The same as a sentence."""
    words = {"done": "done", "unchanged": "as it was", "kept": "there already", "failed": "not possible"}
    parts = [f"{numbers[status]} {word}" for status, word in words.items() if numbers[status] or status == "done"]
    return f"{numbers['photos']} photos: {', '.join(parts)}, in {numbers['seconds']} s."


def _face(face: FilledFace) -> FaceReport:
    low, high = np.floor(face.face.landmarks.min(0)), np.ceil(face.face.landmarks.max(0))
    found = face.face_mask
    return FaceReport(
        box=[int(value) for value in (*low, *high)],
        pixels=int(face.hole.sum()),
        source=found.source if found else "given",
        quality=round(found.quality, 3) if found else None,
    )
