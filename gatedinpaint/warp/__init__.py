"""Geometric warps of images."""

from gatedinpaint.warp.tps import DegenerateControlPointsError, ThinPlateSpline, sample_image, warp_image

__all__ = ["DegenerateControlPointsError", "ThinPlateSpline", "sample_image", "warp_image"]
