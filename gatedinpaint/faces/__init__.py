"""Faces: landmarks, aligned crops, worn face masks (found and drawn), reference photos. Needs the extra ``[faces]``."""

from gatedinpaint.faces.align import AlignedFace, align
from gatedinpaint.faces.landmarks import Face, FaceLandmarker, NoFaceError, find_face_landmarker_model
from gatedinpaint.faces.reference import warp_reference
from gatedinpaint.faces.regions import (
    JAW,
    MASK_POLYGON,
    TPS_POINTS,
    face_height,
    mask_polygon,
    mirror_landmarks,
    polygon_hole,
)
from gatedinpaint.faces.segmentation import MaskNotFoundError, kmeans, segment_face_mask
from gatedinpaint.faces.synthetic import draw_face_mask

__all__ = [
    "JAW",
    "MASK_POLYGON",
    "TPS_POINTS",
    "AlignedFace",
    "Face",
    "FaceLandmarker",
    "MaskNotFoundError",
    "NoFaceError",
    "align",
    "draw_face_mask",
    "face_height",
    "find_face_landmarker_model",
    "kmeans",
    "mask_polygon",
    "mirror_landmarks",
    "polygon_hole",
    "segment_face_mask",
    "warp_reference",
]
