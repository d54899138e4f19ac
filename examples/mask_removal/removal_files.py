"""Which photos a command names, and where their results go; refused is what would overwrite something of the user's."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from examples.mask_removal.layouts import PHOTO_ENDINGS
from gatedinpaint import PhotoError

WRITTEN_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
LOSSY_ENDINGS = (".jpg", ".jpeg", ".webp")


class Job(NamedTuple):
    """One photo and the files that are made of it."""

    photo: Path
    output: Path
    steps: Path | None = None
    origin_map: Path | None = None

    @property
    def outputs(self) -> list[Path]:
        """What is written."""
        return [path for path in (self.output, self.steps, self.origin_map) if path]


def single_job(photo: Path, output: Path, *, steps: Path | None, origin_map: Path | None) -> Job:
    """One photo, whose results have names.

    Raises:
        PhotoError: a name that could not be written to in the end.
    """
    job = Job(photo, output, steps, origin_map)
    for path in job.outputs:
        if path.suffix.lower() not in WRITTEN_ENDINGS:
            raise PhotoError(f"{path}: expected an ending such as .png or .jpg; got {path.suffix or 'none'}.")
        if path.is_dir():
            raise PhotoError(f"{path}: is a folder. Pass the name of the result, for example {path / 'result.png'}.")
        if not path.parent.is_dir():
            raise PhotoError(f"{path}: the folder {path.parent} does not exist. Create it first.")
    if len({path.resolve() for path in job.outputs}) < len(job.outputs):
        raise PhotoError("--output, --save-steps and --save-map must name different files.")
    return job


def folder_jobs(
    photos: Sequence[Path], output: Path, *, ending: str, steps: Path | None, origin_map: Path | None
) -> list[Job]:
    """Photos and folders of photos, with their subfolders; the results go into folders under the photos' names.

    Where two photos differ in the ending alone it becomes a part of the name: ``a.jpg.png`` and ``a.heic.png``.

    Raises:
        PhotoError: a folder without photos, a result's folder that is a file, or two photos with the same result.
    """
    folders = [folder for folder in (output, steps, origin_map) if folder]
    for folder in folders:
        if folder.suffix.lower() in WRITTEN_ENDINGS or (folder.exists() and not folder.is_dir()):
            raise PhotoError(f"{folder}: several photos have several results. Pass the name of a folder.")
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise PhotoError("--output, --save-steps and --save-map must name different folders.")
    for place in photos:
        for folder in folders:
            if folder.resolve() in (place.resolve(), *place.resolve().parents) and place.is_dir():
                raise PhotoError(
                    f"{folder}: holds the photos, and would mix the results with them. Choose another folder for these."
                )
    named = list(_named(photos, {folder.resolve() for folder in folders}))
    stems = Counter(name.with_suffix("") for _, name in named)
    jobs: list[Job] = []
    written: dict[Path, Path] = {}
    """What is written, and from which photo."""
    for photo, name in named:
        own = name.with_suffix("") if stems[name.with_suffix("")] == 1 else name
        result = output / f"{own}{ending}"
        pictures = [folder / f"{own}.png" if folder else None for folder in (steps, origin_map)]
        job = Job(photo, result, *pictures)
        for path in job.outputs:
            other = written.setdefault(path.resolve(), photo)
            if other is not photo:
                raise PhotoError(f"{photo} and {other} would both be written to {path}. Choose other folders for them.")
        jobs.append(job)
    return jobs


def check_not_read(jobs: Sequence[Job], also_read: Sequence[Path]) -> None:
    """Raise :class:`PhotoError` where a result would replace one of the files that are read."""
    read = {_identity(path) for path in (*(job.photo for job in jobs), *also_read)}
    for job in jobs:
        for path in job.outputs:
            if _identity(path) in read:
                raise PhotoError(f"{path}: is one of the photos that are read. Choose another name for the result.")


def check_not_there(job: Job, *, force: bool) -> None:
    """Raise :class:`PhotoError` where a result exists and ``force`` is not set."""
    for path in job.outputs:
        if path.exists() and not force:
            raise PhotoError(f"{path}: exists already. Choose another name, or pass --force to overwrite it.")


def _named(photos: Sequence[Path], left_out: set[Path]) -> Iterator[tuple[Path, Path]]:
    """Every photo once, and its name in its folder."""
    seen: set[Path] = set()
    for place in photos:
        found = [place]
        if place.is_dir():
            found = [
                path
                for path in sorted(place.rglob("*"))
                if _is_photo(path) and not left_out & {*path.resolve().parents}
            ]
            if not found:
                raise PhotoError(
                    f"{place}: no photo in this folder; expected files ending in {', '.join(sorted(PHOTO_ENDINGS))}."
                )
        for path in found:
            if path.resolve() not in seen:
                seen.add(path.resolve())
                yield path, path.relative_to(place) if place.is_dir() else Path(path.name)


def _is_photo(path: Path) -> bool:
    return path.suffix.lower() in PHOTO_ENDINGS and not path.name.startswith(".") and path.is_file()


def _identity(path: Path) -> object:
    """Equal for two names of one file."""
    try:
        status = path.stat()
    except OSError:
        return path.absolute()
    return status.st_dev, status.st_ino
