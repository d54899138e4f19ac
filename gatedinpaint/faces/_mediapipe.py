"""The only file that calls MediaPipe: one photo in, the faces that it sees in it out.

MediaPipe is started when first needed, in the process that needs it; its threads do not survive a fork, one invalid
input or one failure breaks it for good, and its C++ code writes to stderr. All of that ends here.
"""

import atexit
import contextlib
import ctypes
import math
import os
import threading
import weakref
import zipfile
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gatedinpaint._optional import require
from gatedinpaint.faces._landmark_model import MODEL_URL
from gatedinpaint.faces._search import Box
from gatedinpaint.faces._stderr import lock as stderr_lock
from gatedinpaint.faces._stderr import quiet_stderr
from gatedinpaint.faces.face import Face
from gatedinpaint.faces.pose import fit_pose
from gatedinpaint.faces.regions import face_height
from gatedinpaint.image import Photo


class MediaPipe:
    """A :class:`Detector` of photos that are uint8 RGB with sides of 16…32,766 pixels, of at most ``max_faces`` faces.

    Two native objects do it: the face detector on its own, and the landmarker, which begins with the same detector.
    """

    def __init__(self, model_path: Path, max_faces: int) -> None:
        self.model_path, self.max_faces = model_path, max_faces
        self._native: dict[str, Any] = {}
        self._closing: weakref.finalize[Any, Any] | None = None
        self.lock = threading.Lock()
        _alive.add(self)

    def boxes(self, photo: Photo) -> list[Box]:
        found = self._run("boxes", photo).detections
        return [_box(detection.bounding_box) for detection in found]

    def faces(self, photo: Photo) -> list[Face]:
        found = self._run("landmarks", photo).face_landmarks
        return [_face(points, photo.shape[:2]) for points in found]

    def _run(self, which: Literal["boxes", "landmarks"], photo: Photo) -> Any:
        with self.lock:
            mediapipe = require("mediapipe", "faces")
            picture = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(photo))
            try:
                if not self._native:
                    with quiet_stderr():  # MediaPipe logs five lines at creation and at the first detection
                        self._native = self._create()
                        # Held from outside, and closed with this object: one that the garbage collector finds in a
                        # cycle would close itself when its own thread is gone already, and wait for ever.
                        self._closing = weakref.finalize(self, _close, tuple(self._native.values()))
                        self._closing.atexit = False
                        for native in self._native.values():
                            native.detect(picture)
                # The detector says when a picture does not lie in memory as it likes, which is chance.
                with quiet_stderr() if which == "boxes" else contextlib.nullcontext():
                    return self._native[which].detect(picture)
            except Exception:
                self._native = {}  # after one failure MediaPipe fails at every photo: start afresh with the next one
                if self._closing is not None:
                    self._closing()
                raise

    def _create(self) -> dict[str, Any]:
        vision = require("mediapipe.tasks.python.vision", "faces")
        options = require("mediapipe.tasks.python", "faces").BaseOptions
        try:
            landmarker = vision.FaceLandmarker.create_from_options(
                vision.FaceLandmarkerOptions(
                    base_options=options(model_asset_path=str(self.model_path)), num_faces=self.max_faces
                )
            )
            with zipfile.ZipFile(self.model_path) as bundle:
                detector = vision.FaceDetector.create_from_options(
                    vision.FaceDetectorOptions(base_options=options(model_asset_buffer=bundle.read(_DETECTOR)))
                )
        except (RuntimeError, OSError, zipfile.BadZipFile, KeyError) as error:
            reason = str(error).split("\n")[0]
            raise ValueError(
                f"{self.model_path}: cannot be read as a face landmark model: {reason} Fix: download {MODEL_URL}."
            ) from error
        return {"boxes": detector, "landmarks": landmarker}

    def forget(self) -> None:
        """Be as new."""
        self._native = {}
        if self._closing is not None:
            self._closing.detach()
        self.lock = threading.Lock()

    def leak(self) -> None:
        """Keep the native objects from ever being closed, where closing would wait for threads that are gone."""
        for native in self._native.values():
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(native))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.model_path, self.max_faces)


def _close(natives: tuple[Any, ...]) -> None:
    with quiet_stderr():  # the end of the last native object is logged too
        for native in natives:
            native.close()


_DETECTOR = "face_detector.tflite"  # its name in the model file, which is a bundle
# The landmarks' extent in sides of the detector's square box: the median of faces of all kinds; 1.02 to 1.14 occur.
_EXTENT = 1.07


def _box(box: Any) -> Box:
    side = max(box.width, box.height)
    return Box(box.origin_x + (box.width - 1) / 2, box.origin_y + (box.height - 1) / 2, _EXTENT * side)


# MediaPipe scales pictures with pixel corners where pixel centres belong. So a landmark at n of the width lies on the
# pixel centre n · width, but for half a pixel of the network's 256×256 input along the head's own axes, which is this
# share of the face's height. Measured on faces scaled by 1/4…4 and mirrored: nothing is left over across the face.
_HALF_INPUT_PIXEL = 0.0022


def _face(points: Any, size: tuple[int, ...]) -> Face:
    height, width = size
    normalized = np.array([(point.x, point.y, point.z) for point in points])
    landmarks = normalized[:, :2] * (width, height)
    # Not MediaPipe's own rotation: that depends on where in the photo the face is.
    pose = fit_pose(landmarks)
    cosine, sine = math.cos(math.radians(pose.roll)), math.sin(math.radians(pose.roll))
    across_and_down = np.array([cosine + sine, cosine - sine])
    landmarks -= _HALF_INPUT_PIXEL * face_height(landmarks) * across_and_down
    return Face(landmarks.astype(np.float32), (normalized[:, 2] * width).astype(np.float32), *pose)


_alive: "weakref.WeakSet[MediaPipe]" = weakref.WeakSet()
_paused: "list[MediaPipe]" = []


def _leak_all() -> None:
    for each in _alive:
        each.leak()


def _pause() -> None:
    """Let every thread finish its look before a fork: the child would inherit locks that nobody is left to release."""
    looking = sorted(_alive, key=id)
    for each in looking:
        each.lock.acquire()
    stderr_lock.acquire()
    _paused.extend(looking)


def _go_on() -> None:
    stderr_lock.release()
    while _paused:
        _paused.pop().lock.release()


def _start_afresh() -> None:
    _go_on()
    for each in _alive:
        each.leak()
        each.forget()


atexit.register(_leak_all)
os.register_at_fork(before=_pause, after_in_parent=_go_on, after_in_child=_start_afresh)
