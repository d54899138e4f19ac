import math
from typing import Any

import cv2
import mediapipe
import numpy as np
import pytest
import skimage.transform

from gatedinpaint.faces import Face, FaceLandmarker, head_pose, mirror_landmarks
from gatedinpaint.faces.pose import _INDICES, _SHAPE
from gatedinpaint.image import Photo


def turned(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Landmarks of the average head turned by Rz(roll) Ry(yaw) Rx(pitch), as OpenCV composes it."""
    axes = np.radians([[pitch, 0, 0], [0, yaw, 0], [0, 0, roll]])
    about_x, about_y, about_z = (cv2.Rodrigues(axis)[0] for axis in axes)
    points = np.random.default_rng(0).uniform(0, 100, (478, 2))
    points[_INDICES] = (_SHAPE @ (about_z @ about_y @ about_x).T)[:, :2] * (80, -80) + (200, 100)
    return points


@pytest.mark.parametrize("angles", [(0, 0, 0), (30, 0, 0), (0, -20, 0), (0, 0, 170), (-50, 25, -40)])
def test_a_turned_average_head_is_recovered(angles: tuple[float, float, float]) -> None:
    assert head_pose(turned(*angles)) == pytest.approx(angles, abs=1e-6)


def test_size_and_place_do_not_matter() -> None:
    points = turned(20, 10, 5)
    assert head_pose(points * 7 + (1000, -50)) == pytest.approx(head_pose(points), abs=1e-9)


def test_a_mirror_negates_yaw_and_roll(face: Face) -> None:
    yaw, pitch, roll = head_pose(face.landmarks)
    assert head_pose(mirror_landmarks(face.landmarks, 512)) == pytest.approx((-yaw, pitch, -roll), abs=1e-3)


@pytest.fixture(scope="module")
def native(landmarker: FaceLandmarker) -> Any:
    """MediaPipe with its own estimate of the rotation, by another way: a perspective camera and a metric head."""
    vision = mediapipe.tasks.vision
    options = vision.FaceLandmarkerOptions(
        base_options=mediapipe.tasks.BaseOptions(model_asset_path=str(landmarker.model_path)),
        output_facial_transformation_matrixes=True,
    )
    return vision.FaceLandmarker.create_from_options(options)


@pytest.mark.parametrize("degrees", [-25, 0, 25])
@pytest.mark.parametrize("mirrored", [False, True])
def test_agrees_with_mediapipes_own_estimate(photo: Photo, native: Any, degrees: float, mirrored: bool) -> None:
    view = skimage.transform.rotate(photo, degrees, center=(225, 110), mode="edge", preserve_range=True)
    view = view[0:220, 115:335].astype(np.uint8)  # the face in the middle: MediaPipe's angles depend on the place
    view = np.ascontiguousarray(view[:, ::-1] if mirrored else view)
    result = native.detect(mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=view))
    (matrix,), (points,) = result.facial_transformation_matrixes, result.face_landmarks
    landmarks = np.array([(point.x * 220, point.y * 220) for point in points])
    rotation = np.asarray(matrix)[:3, :3]
    expected = (
        math.degrees(math.asin(-rotation[2, 0])),
        math.degrees(math.atan2(rotation[2, 1], rotation[2, 2])),
        math.degrees(math.atan2(rotation[1, 0], rotation[0, 0])),
    )
    found = head_pose(landmarks)
    assert (found.yaw, found.roll) == pytest.approx((expected[0], expected[2]), abs=3)
    assert found.pitch == pytest.approx(expected[1], abs=5)


def test_wrong_landmarks_are_named() -> None:
    with pytest.raises(ValueError, match=r"landmarks must be \(478, 2\) points .*; got \(68, 2\)"):
        head_pose(np.zeros((68, 2)))
