"""Public data sets recognised by their layout: FFHQ, which is aligned already, and CelebA, which knows who is who."""

import re
from pathlib import Path

from gatedinpaint import PhotoError, read_photo

PHOTO_ENDINGS = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".heic", ".heif"}
_FFHQ_NAME = re.compile(r"(?:(\d{5})/)?(\d{5})\.png")
_FFHQ_SIZES = (128, 256, 512, 1024)
_CELEBA_FOLDER = re.compile(r"[/:]img_(align_)?celeba")
_CELEBA_IDENTITIES = "identity_CelebA.txt"


def is_ffhq(place: Path, *, output: Path | None = None) -> bool:
    """Whether a folder holds the aligned crops of FFHQ: ``00000.png``… or ``00000/00000.png``…, a thousand to a
    folder, square, of a size in which they are passed around. Its photos "in the wild" are not square.
    What is no photo does not count, nor does what lies in ``output``.
    """
    place, output = place.resolve(), output.resolve() if output else None
    photos = sorted(
        path
        for path in place.rglob("*.*")
        if path.suffix.lower() in PHOTO_ENDINGS and path.is_file() and output not in path.parents
    )
    for path in photos:
        name = _FFHQ_NAME.fullmatch(path.relative_to(place).as_posix())
        if name is None or (name[1] and int(name[1]) != int(name[2]) // 1000 * 1000):
            return False
    some = photos[:: max(1, len(photos) // 4)]
    try:
        sizes = {read_photo(path).shape[:2] for path in some}
    except PhotoError:
        return False
    return len(sizes) == 1 and sizes <= {(side, side) for side in _FFHQ_SIZES}


class CelebAIdentities:
    """Who is on the photos of CelebA, from its file ``identity_CelebA.txt``.

    It is looked for in the source, in ``Anno`` there, and in both places one folder up. Names count without their
    ending, since the photos come as JPEG and as PNG.
    """

    def __init__(self, place: Path) -> None:
        folders = [place, place / "Anno", place.parent, place.parent / "Anno"]
        path = next(
            (folder / _CELEBA_IDENTITIES for folder in folders if (folder / _CELEBA_IDENTITIES).is_file()), None
        )
        self.numbers: dict[str, str] = {}
        for number, text in enumerate(path.read_text(encoding="utf-8").splitlines() if path else (), start=1):
            words = text.split()
            if len(words) != 2:
                raise ValueError(f"{path}, line {number}: expected a photo and a number; got {text[:80]!r}.")
            self.numbers[Path(words[0]).stem] = words[1]

    def of(self, source: str) -> str | None:
        """The person on a photo; None where CelebA does not say or the photo lies in no folder of CelebA's."""
        number = self.numbers.get(Path(source).stem) if _CELEBA_FOLDER.search(source) else None
        return None if number is None else f"celeba-{number}"
