"""How far colours and light of the target are followed: not beyond what the skin in sight tells."""

import numpy as np

from gatedinpaint.faces import AlignedFace
from gatedinpaint.faces._relight import relight

Y, X = np.mgrid[:256, :256]


def _grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(np.rint(values).clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


def test_contrast_grows_by_a_half_at_most(aligned: AlignedFace) -> None:
    waves = 42 * np.sin(X / 20) * np.sin(Y / 20)
    landmarks, everywhere = aligned.landmarks.astype(np.float64), np.ones((256, 256), bool)
    photo = _grey(128 + waves)
    relit = relight(photo, _grey(128 + 3 * waves), everywhere, landmarks)
    assert 1.45 < relit.std() / photo.std() < 1.55


def test_a_slope_of_light_ends_where_the_skin_ends(aligned: AlignedFace) -> None:
    landmarks, forehead = aligned.landmarks.astype(np.float64), (Y > 20) & (Y < 110)
    relit = relight(_grey(0 * Y + 100), _grey(100 + 0.5 * (Y - 65)), forehead, landmarks)[..., 0].astype(int)
    rows = relit.mean(1)
    assert rows[100] - rows[30] > 10  # follows it
    assert relit[110:].max() <= relit[forehead].max() + 1  # continued, it would come to 100 + 95
