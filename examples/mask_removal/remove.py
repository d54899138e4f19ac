"""Take the face masks off photos.

python -m examples.mask_removal.remove PHOTO --reference PHOTO2 --output RESULT.png
"""

from examples.mask_removal.needs import needs

if __name__ == "__main__":
    needs("faces", "cv2", "mediapipe", "PIL")

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from examples.mask_removal.bare_reference import bare_landmarks
from examples.mask_removal.export_onnx import load_exported
from examples.mask_removal.one_line import EXPECTED, one_line
from examples.mask_removal.own_hole import read_hole
from examples.mask_removal.pipeline import Origin, Removal, load_generator, remove_mask
from examples.mask_removal.progress_bar import Progress
from examples.mask_removal.removal_files import Job, check_not_read, check_not_there, folder_jobs, single_job
from examples.mask_removal.removal_options import LEAST, parser
from examples.mask_removal.removal_report import PhotoReport, report_of, summary, summary_line
from examples.mask_removal.sheet import picture_sheet
from gatedinpaint import PhotoError, read_photo, write_photo
from gatedinpaint.faces import FaceLandmarker
from gatedinpaint.image import read_exif

ORIGIN_COLOURS = {Origin.ORIGINAL: (0, 0, 0), Origin.GUIDED: (0, 160, 80), Origin.INVENTED: (220, 60, 60)}


def steps_sheet(photo: np.ndarray, removal: Removal, truth: np.ndarray | None = None) -> np.ndarray:
    """What happened, one row a face: photo, hole, warped reference, result, and the truth where it is known."""
    rows = []
    for face in removal.faces:
        panels = {"photo": face.crop(photo), "hole": face.crop(face.hole)}
        if face.reference is not None:
            panels["warped reference"] = face.reference
        panels["result"] = face.crop(removal.photo)
        if truth is not None:
            panels["truth"] = face.crop(truth)
        rows.append(panels)
    return picture_sheet([list(panels.values()) for panels in rows], titles=list(rows[0]), side=320)


def origin_picture(origin: np.ndarray) -> np.ndarray:
    """The map of original (black), guided (green) and invented (red) pixels as a photo."""
    return np.array([ORIGIN_COLOURS[Origin(value)] for value in range(3)], np.uint8)[origin]


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code, and says with one line for each photo what was done or why not."""
    options = parser().parse_args(arguments)
    began = time.perf_counter()
    reports: list[PhotoReport] = []
    several = True
    try:
        jobs, several = _jobs(options)
        with Progress(len(jobs), unit=" photos") as progress:
            for report in _work(jobs, options, several=several):
                reports.append(report)
                progress.advance()
                if report.error is not None:
                    named = report.error.startswith(report.photo) or not several
                    progress.error(f"remove: {'' if named else f'{report.photo}: '}{report.error}")
                if options.json:
                    progress.line(json.dumps(report.to_dict()))
                elif report.error is None:
                    progress.line(str(report))
    except EXPECTED as error:
        print(f"remove: {one_line(error)}", file=sys.stderr)
        if options.json:
            print(json.dumps({"summary": summary(reports, time.perf_counter() - began), "error": one_line(error)}))
        return 2
    except KeyboardInterrupt:
        print("remove: interrupted; the same command goes on with the photos that are left.", file=sys.stderr)
        if options.json:
            print(json.dumps({"summary": summary(reports, time.perf_counter() - began), "error": "interrupted"}))
        return 130
    numbers = summary(reports, time.perf_counter() - began)
    if options.json:
        print(json.dumps({"summary": numbers, "error": None}))
    elif several:
        print(summary_line(numbers))
    return 0 if not numbers["failed"] else 1 if numbers["failed"] < numbers["photos"] else 2


def _work(jobs: list[Job], options: argparse.Namespace, *, several: bool) -> Iterator[PhotoReport]:
    reference = read_photo(options.reference) if options.reference else None
    tools = _tools(options)
    if several and reference is not None:
        bare_landmarks(reference, tools[1])  # what is wrong with it is said once, not for every photo
    for job in jobs:
        try:
            if several and job.output.exists() and not options.force:
                yield PhotoReport(str(job.photo), "kept", str(job.output))
                continue
            check_not_there(job, force=options.force)
            photo = read_photo(job.photo)
            hole = read_hole(options.mask, photo.shape[:2]) if options.mask else None
            removal = remove_mask(photo, *tools, reference=reference, faces=options.faces, hole=hole, size=options.size)
            _write(job, photo, removal, options)
        except EXPECTED as error:
            yield PhotoReport(str(job.photo), "failed", error=one_line(error))
        else:
            yield report_of(job, removal)


def _tools(options: argparse.Namespace) -> tuple[Any, FaceLandmarker]:
    if options.engine == "onnx":
        if options.device != "cpu":
            raise ValueError(f"--engine onnx runs on the CPU; got --device {options.device}. Leave one of them out.")
        generator: Any = load_exported(options.model)
    else:
        generator = load_generator(options.model, device=options.device)
    if options.reference and not generator.reference:
        raise ValueError(f"{options.model}: this generator was made without a reference. Leave --reference out.")
    return generator, FaceLandmarker(max_faces=options.max_faces, least=0.0 if options.small_faces else LEAST)


def _write(job: Job, photo: np.ndarray, removal: Removal, options: argparse.Namespace) -> None:
    for path in job.outputs:
        path.parent.mkdir(parents=True, exist_ok=True)
    exif = read_exif(job.photo, location=options.keep_location)
    there = [path for path in job.outputs if path.exists()]
    written: list[Path] = []

    def write(path: Path, picture: np.ndarray, **about: Any) -> None:
        write_photo(path, picture, overwrite=options.force, **about)
        written.append(path)

    try:
        if job.steps and removal.faces:
            write(job.steps, steps_sheet(photo, removal))
        if job.origin_map:
            write(job.origin_map, origin_picture(removal.origin))
        write(job.output, removal.photo, exif=exif)  # the last: where it is, the photo counts as done
    except BaseException:  # an interruption too; all or nothing, so that the same command can go on
        for path in written:
            if path not in there:
                path.unlink(missing_ok=True)
        raise


def _jobs(options: argparse.Namespace) -> tuple[list[Job], bool]:
    """What is to be done, and whether that is more than one photo with one result."""
    places = {"steps": options.save_steps, "origin_map": options.save_map}
    several = len(options.photos) > 1 or options.photos[0].is_dir()
    if several and options.mask:
        raise PhotoError("--mask is the hole of one photo. Name that photo alone.")
    if several:
        jobs = folder_jobs(options.photos, options.output, ending=f".{options.format}", **places)
    else:
        jobs = [single_job(options.photos[0], options.output, **places)]
    check_not_read(jobs, [path for path in (options.reference, options.mask) if path])
    if not several:
        check_not_there(jobs[0], force=options.force)
    return jobs, several


if __name__ == "__main__":
    sys.exit(main())
