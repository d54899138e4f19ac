"""Photos (uint8 RGB, numpy) to images (float tensors in [−1, 1]) and back; safe reading and writing of photo files."""

from gatedinpaint.image.exif import read_exif
from gatedinpaint.image.files import FORMATS, MAX_PIXELS, PhotoError, read_photo, write_photo
from gatedinpaint.image.photo import Hole, Photo, as_photo, check_photo, image_to_photo, photo_to_image

__all__ = [
    "FORMATS",
    "MAX_PIXELS",
    "Hole",
    "Photo",
    "PhotoError",
    "as_photo",
    "check_photo",
    "image_to_photo",
    "photo_to_image",
    "read_exif",
    "read_photo",
    "write_photo",
]
