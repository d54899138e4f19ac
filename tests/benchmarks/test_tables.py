"""The tables that the documentation shows: their form, and the commands that write them, on one drawn face."""

import argparse
import csv
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from benchmarks import faces_landmarks, faces_masked_reference, faces_reference, faces_segmentation, faces_under_mask
from benchmarks.faces_reference import CONFIDENCE_BINS, FORMS, Outcome
from benchmarks.tables import add_output, publish, table
from gatedinpaint import read_photo, write_photo
from gatedinpaint.faces import FaceLandmarker, align, draw_face_mask


@pytest.fixture(scope="module")
def landmarker() -> FaceLandmarker:
    return FaceLandmarker()


@pytest.fixture(scope="module")
def crop(landmarker: FaceLandmarker) -> np.ndarray:
    return align(astronaut(), landmarker.detect(astronaut())[0].landmarks, size=256).photo


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, landmarker: FaceLandmarker, crop: np.ndarray) -> Path:
    """A tar with the face twice, a manifest, and one triplet; the second photo of the pair is darker."""
    root = tmp_path_factory.mktemp("faces")
    with tarfile.open(root / "drawn_pairs.tar", "w") as tar:
        for name, photo in (("one", crop), ("two", crop // 2)):
            content = io.BytesIO()
            Image.fromarray(photo).save(content, "PNG")
            member = tarfile.TarInfo(f"{name}.jpg")
            member.size = content.tell()
            tar.addfile(member, io.BytesIO(content.getvalue()))
    with (root / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "tar", "identity"])
        # Identities are sorted, and those at odd places are reported.
        writer.writerows([f"{id}", "drawn_pairs.tar", who] for who in ("first", "second") for id in ("one", "two"))
    masked, hole = draw_face_mask(crop, landmarker.detect(crop)[0].landmarks, color="blue", seed=0)
    (root / "triplets").mkdir()
    write_photo(root / "triplets/a_face.jpg", crop)
    write_photo(root / "triplets/a_masked.jpg", masked)
    write_photo(root / "triplets/a_seg.png", np.repeat(255 * hole[..., None].astype(np.uint8), 3, axis=2))
    return root


def cells(text: str) -> list[list[str]]:
    """The rows of the first table, its head first; every line has as many cells."""
    block = text.split("\n\n")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in block]
    assert set(rows.pop(1)) == {"---"}
    assert len({len(row) for row in rows}) == 1
    return rows


def test_output_is_what_was_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    add_output(parser)
    options = parser.parse_args(["--output", str(tmp_path / "new/table.md")])
    publish([table(["a", "b"], [["1", "2"]]), "", "A note."], options.output)
    assert options.output.read_text("utf-8") == "| a | b |\n|---|---|\n| 1 | 2 |\n\nA note.\n"
    assert capsys.readouterr().out == options.output.read_text("utf-8")
    assert list(options.output.parent.iterdir()) == [options.output]


def test_without_output_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    publish(["A note."], None)
    assert capsys.readouterr().out == "A note.\n"
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_finished_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "table.md"
    target.write_text("old")

    def full(path: Path, text: str, encoding: str) -> None:
        path.write_bytes(text.encode(encoding)[:3])
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="disk full"):
        publish(["A longer note."], target)
    assert target.read_bytes() == b"old"


def test_segmentation_has_a_row_for_every_set(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "segmentation.md"
    inputs = ["--triplets", f"{folder}/triplets", "--truth-shift", "1", "--faces", f"{folder}/drawn_pairs.tar"]
    faces_segmentation.main([*inputs, "--limit", "1", "--photos", f"{folder}/triplets", "--output", str(output)])
    text = output.read_text("utf-8")
    head, *rows = cells(text)
    assert head == ["set", "faces", "contour", "worst", "k-means", "polygon", "quality"]
    styles = [f"drawn_pairs, {style}" for style in ("surgical", "ffp2", "cloth", "black")]
    assert [row[0] for row in rows] == [
        "triplets",
        "triplets, truth moved by 1 pixel",
        *styles,
        "worn, without truth",
    ]
    true, moved = rows[:2]
    assert true[1] == moved[1] == "1"
    assert float(true[2]) == float(true[3]) > 0.9  # the worst of one is the mean
    assert float(moved[2]) < float(true[2])
    assert rows[-1][2:6] == ["–"] * 4
    assert "- Bare faces taken for masked ones: 0 of 1 of drawn_pairs." in text.splitlines()
    # The folder of triplets as photos: the bare face is refused, the picture of the hole shows no face. No names.
    assert "- worn, without truth, refused: 1." in text.splitlines()
    assert "a_face" not in text
    assert "a_face" in capsys.readouterr().err
    assert str(folder) not in text


def outcome(yaw: float, similarity: float, full: float) -> Outcome:
    errors = dict.fromkeys(FORMS, similarity) | {FORMS[-1]: full}
    by_confidence = np.zeros((len(CONFIDENCE_BINS) - 1, 2))
    by_confidence[-1] = 30, 10
    return Outcome(yaw, errors, stiffened=yaw > 20, similarity=False, folded_cells=0, by_confidence=by_confidence)


def test_reference_by_yaw_and_confidence() -> None:
    outcomes = [outcome(3, 40, 20), outcome(5, 20, 30), outcome(20.5, 60, 40)]
    _, *rows = cells(faces_reference.by_yaw(outcomes))
    assert [row[:2] for row in rows] == [["0–15°", "2"], ["15–30°", "1"], ["over 30°", "0"], ["all", "3"]]
    assert [row[2] for row in rows] == ["30.00", "60.00", "–", "40.00"]
    assert [row[-1] for row in rows] == ["25.00", "40.00", "–", "30.00 (25 % lower)"]
    assert cells(faces_reference.by_confidence(outcomes))[-1] == ["0.8–1", "3.00", "30"]
    assert cells(faces_reference.by_confidence(outcomes))[1] == ["0–0.2", "0.00", "0"]
    assert "in 67 % of the pairs" in faces_reference.notes(outcomes)
    assert "Splines stiffened: 1," in faces_reference.notes(outcomes)
    assert cells(faces_reference.by_yaw([outcome(1, 20, 30)]))[-1][-1] == "30.00 (50 % higher)"


def test_reference_writes_its_tables(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "reference.md"
    inputs = ["--pairs", f"{folder}/drawn_pairs.tar", "--manifest", f"{folder}/manifest.csv"]
    faces_reference.main([*inputs, "--output", str(output)])
    text = output.read_text("utf-8")
    rows = cells(text)
    assert rows[-1][:2] == ["all", "1"]
    dark, relit = (float(rows[-1][column].split()[0]) for column in (2, -1))
    assert relit < dark / 2  # half as bright, and set right
    assert "512×512, processor time of one thread: " in text
    assert str(folder) not in text


def test_landmarks_large_photos_and_own(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(faces_landmarks, "LYING", (600, 800))
    monkeypatch.setattr(faces_landmarks, "UPRIGHT", (800, 600))
    monkeypatch.setattr(faces_landmarks, "SHARES", (0.2, 0.0))
    monkeypatch.setattr(faces_landmarks, "RUNS", 1)
    monkeypatch.setattr(faces_landmarks, "PLACE", (100, 100))
    output = tmp_path / "landmarks.md"
    faces_landmarks.main(["--photos", f"{folder}/triplets", "--pattern", "*_face.jpg", "--output", str(output)])
    text = output.read_text("utf-8")
    head, face, bare = cells(text)
    assert head[1] == "800×600: found"
    assert (face[0], face[1]) == ("a face of 0.2", "yes")
    assert (bare[0], bare[1], bare[3]) == ("no face", "no", "no")
    assert "Photos of people: a face in 1 of 1, " in text
    assert "a_face" not in text
    assert "a_face" in capsys.readouterr().err


def test_landmarks_of_an_empty_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        faces_landmarks.main(["--photos", str(tmp_path)])
    assert "no photo that matches '*'" in capsys.readouterr().err


def test_under_mask_says_how_many_faces_and_how_far_the_chin_is_off() -> None:
    upright = np.random.default_rng(0).uniform(0, 1, (478, 2))
    upright[10], upright[152] = (0.5, 0), (0.5, 2)  # forehead and chin: the face is 2 high
    believed = upright.copy()
    believed[152, 1] -= 0.1
    detected, uncovered = faces_under_mask.rows([(upright, believed)], "drawn")
    assert (detected[:2], uncovered[:2]) == (["drawn (1)", "as detected"], ["drawn (1)", "uncovered"])
    assert len(detected) == len(faces_under_mask.PARTS) + 3
    assert detected[2 + list(faces_under_mask.PARTS).index("chin")] == "0.0500"
    assert detected[-1] == "+0.0500 ± 0.0000"


@pytest.mark.parametrize("name", ["folder", "file/table.md"])
def test_a_place_where_nothing_can_be_written_is_refused_before_anything_is_measured(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("precious")
    with pytest.raises(SystemExit):
        faces_landmarks.main(["--output", str(tmp_path / name)])
    assert str(tmp_path / name) in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (faces_segmentation.main, ["--triplets"]),
        (faces_segmentation.main, ["--photos"]),
        (faces_under_mask.main, ["--data", "x", "--triplets"]),
        (faces_masked_reference.main, ["--masked"]),
    ],
)
def test_a_folder_that_is_not_there_is_no_row_of_zeros(
    command: Callable[[list[str]], None], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command([*words, "nowhere"])
    assert f"{words[-1]}: must be a folder; got nowhere" in capsys.readouterr().err


def test_the_sheet_is_in_colour_and_its_folder_is_made(folder: Path, crop: np.ndarray, tmp_path: Path) -> None:
    picture = tmp_path / "new" / "sheet.png"
    inputs = ["--pairs", f"{folder}/drawn_pairs.tar", "--manifest", f"{folder}/manifest.csv"]
    faces_reference.main([*inputs, "--sheet", str(picture)])
    assert np.array_equal(read_photo(picture)[:256, 256:512], crop) or np.array_equal(
        read_photo(picture)[:256, :256], crop
    )  # the two photos of a pair are drawn in any order


def test_people_with_one_photo_make_no_pair(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "manifest.csv").write_text("id,tar,identity\none,drawn_pairs.tar,first\ntwo,drawn_pairs.tar,second\n")
    with pytest.raises(SystemExit):
        faces_reference.main(["--pairs", f"{folder}/drawn_pairs.tar", "--manifest", str(tmp_path / "manifest.csv")])
    assert "names no two photos with a face of one person in drawn_pairs.tar" in capsys.readouterr().err
