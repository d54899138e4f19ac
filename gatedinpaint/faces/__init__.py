"""Faces: landmarks, aligned crops, worn face masks (found and drawn), reference photos. Needs the extra ``[faces]``."""

from gatedinpaint.faces._kmeans import kmeans
from gatedinpaint.faces._landmark_model import find_face_landmarker_model
from gatedinpaint.faces._mask_cloth import MaskPattern
from gatedinpaint.faces._mask_shape import MaskStyle
from gatedinpaint.faces.align import AlignedFace, align, scale_to_hold
from gatedinpaint.faces.face import Face, Landmarker, NoFaceError
from gatedinpaint.faces.given_landmarks import landmarks_from
from gatedinpaint.faces.landmarks import FaceLandmarker
from gatedinpaint.faces.paste import paste, paste_window
from gatedinpaint.faces.pose import HeadPose, head_pose
from gatedinpaint.faces.reference import WarpedReference, warp_reference
from gatedinpaint.faces.regions import (
    JAW,
    MASK_POLYGON,
    TPS_POINTS,
    face_height,
    mask_polygon,
    mirror_landmarks,
    polygon_hole,
)
from gatedinpaint.faces.segmentation import (
    FaceMask,
    MaskNotFoundError,
    SegmentationMethod,
    find_face_mask,
    segment_face_mask,
)
from gatedinpaint.faces.synthetic import (
    MASK_COLORS,
    MASK_PALETTES,
    MASK_STYLES,
    draw_face_mask,
    face_mask_hole,
)
from gatedinpaint.faces.under_mask import uncover_landmarks

__all__ = [
    "JAW",
    "MASK_COLORS",
    "MASK_PALETTES",
    "MASK_POLYGON",
    "MASK_STYLES",
    "TPS_POINTS",
    "AlignedFace",
    "Face",
    "FaceLandmarker",
    "FaceMask",
    "HeadPose",
    "Landmarker",
    "MaskNotFoundError",
    "MaskPattern",
    "MaskStyle",
    "NoFaceError",
    "SegmentationMethod",
    "WarpedReference",
    "align",
    "draw_face_mask",
    "face_height",
    "face_mask_hole",
    "find_face_landmarker_model",
    "find_face_mask",
    "head_pose",
    "kmeans",
    "landmarks_from",
    "mask_polygon",
    "mirror_landmarks",
    "paste",
    "paste_window",
    "polygon_hole",
    "scale_to_hold",
    "segment_face_mask",
    "uncover_landmarks",
    "warp_reference",
]
