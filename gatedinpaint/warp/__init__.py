"""Geometric warps of images."""

from gatedinpaint.warp.tps import DegenerateControlPointsError, ThinPlateSpline, warp_image

__all__ = ["DegenerateControlPointsError", "ThinPlateSpline", "warp_image"]
