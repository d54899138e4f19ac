"""Masks: 1 marks the hole. Seeded random holes; compositing, growing, shrinking and feathering them."""

from gatedinpaint.masks.box import box_mask
from gatedinpaint.masks.free_form import free_form_mask
from gatedinpaint.masks.irregular import irregular_mask
from gatedinpaint.masks.operations import composite, dilate, erode, feather

__all__ = ["box_mask", "composite", "dilate", "erode", "feather", "free_form_mask", "irregular_mask"]
