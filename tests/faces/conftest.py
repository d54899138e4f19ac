"""One real face for all tests: the astronaut photo that scikit-image carries."""

import numpy as np
import pytest
import skimage.data

from gatedinpaint.faces import AlignedFace, Face, FaceLandmarker, align
from gatedinpaint.image import Photo


@pytest.fixture(scope="session")
def photo() -> Photo:
    return np.asarray(skimage.data.astronaut())


@pytest.fixture(scope="session")
def landmarker() -> FaceLandmarker:
    return FaceLandmarker()


@pytest.fixture(scope="session")
def face(photo: Photo, landmarker: FaceLandmarker) -> Face:
    return landmarker.detect(photo)[0]


@pytest.fixture(scope="session")
def aligned(photo: Photo, face: Face) -> AlignedFace:
    return align(photo, face.landmarks, size=256)
