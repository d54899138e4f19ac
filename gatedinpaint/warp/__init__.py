"""Geometric warps of images."""

from gatedinpaint.warp.sample import sample_image, warp_image
from gatedinpaint.warp.tps import DegenerateControlPointsError, ThinPlateSpline

__all__ = ["DegenerateControlPointsError", "ThinPlateSpline", "sample_image", "warp_image"]
