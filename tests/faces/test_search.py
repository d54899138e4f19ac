"""The search with a stand-in for the detector: it sees what it is told to, if that is wide enough in its view."""

import dataclasses
import itertools

import numpy as np
import pytest

from gatedinpaint.faces._pyramid import View
from gatedinpaint.faces._search import LEVELS, Box, _in_photo, find_faces, levels, windows
from gatedinpaint.faces.face import Face
from gatedinpaint.faces.regions import MIRROR
from gatedinpaint.image import Photo

SHAPE = np.random.default_rng(0).uniform(-0.5, 0.5, (478, 2))
SHAPE[[10, 152]] = (0, -0.5), (0, 0.5)


def scene(*faces: tuple[int, int, int], size: tuple[int, int] = (900, 1200)) -> Photo:
    """Faces as patches whose colour tells the side: (x, y, side), sides under 128."""
    photo = np.zeros((*size, 3), np.uint8)
    for x, y, side in faces:
        photo[y : y + side, x : x + side, 0] = side
        photo[y : y + side, x : x + side // 2, 1] = 255
    return photo


class StandIn:
    """Finds whole patches of at least 0.12 of the view; ``disagree``: its landmarks land anywhere, as on a texture."""

    def __init__(self, *, disagree: bool = False) -> None:
        self.disagree = disagree
        self.glances: list[tuple[int, ...]] = []
        self.looks: list[tuple[int, ...]] = []
        self._rng = np.random.default_rng(1)

    def boxes(self, photo: Photo) -> list[Box]:
        self.glances.append(photo.shape)
        return [_box(face) for face in self._seen(photo)]

    def faces(self, photo: Photo) -> list[Face]:
        self.looks.append(photo.shape)
        return self._seen(photo)

    def _seen(self, photo: Photo) -> list[Face]:
        found = []
        for side in sorted({*photo[..., 0].ravel().tolist()} - {0}):
            rows, columns = np.nonzero(photo[..., 0] == side)
            extent = int(np.ptp(columns)) + 1
            # Not cut off by the view's border. In a view of half the size the patch's border may be mixed.
            whole = len(rows) == extent**2 and any(0 <= side // scale - extent <= 1 for scale in (1, 2, 4))
            if not whole or extent < 0.12 * max(photo.shape):
                continue
            mirrored = photo[rows.min(), columns.min(), 1] == 0
            shape = self._rng.uniform(-0.5, 0.5, (478, 2)) if self.disagree else SHAPE
            shape = shape[MIRROR] * (-1, 1) if mirrored else shape
            centre = np.array([columns.mean(), rows.mean()])
            points = (shape * (extent - 1) + centre).astype(np.float32)
            found.append(Face(points, np.zeros(478, np.float32), yaw=-20.0 if mirrored else 20.0, pitch=0.0, roll=0.0))
        return found


def _box(face: Face) -> Box:
    x, y = (face.landmarks.min(0) + face.landmarks.max(0)) / 2
    return Box(x, y, float(np.ptp(face.landmarks, axis=0).max()))


@pytest.mark.parametrize("size", [(100, 100), (900, 1200), (3000, 1000), (16, 4000)])
@pytest.mark.parametrize("level", LEVELS)
def test_windows_cover_the_photo_and_overlap(size: tuple[int, int], level: float) -> None:
    times = np.zeros(size, int)
    for top, left, height, width in windows(size, level):
        assert (height, width) == tuple(min(round(level * max(size)), length) for length in size)
        part = times[top : top + height, left : left + width]
        assert part.shape == (height, width)
        part += 1
    assert times.min() == 1


def test_windows_overlap_by_a_third() -> None:
    lefts = sorted({window.left for window in windows((900, 900), 0.5)})
    assert lefts == [0, 225, 450]
    assert [window.left for window in windows((100, 1000), 0.3)] == [0, 175, 350, 525, 700]


@pytest.mark.parametrize("place", [(0, 0), (1176, 876), (587, 433), (301, 299), (800, 100)])
def test_a_face_of_two_percent_is_found_anywhere(place: tuple[int, int]) -> None:
    (face,) = find_faces(scene((*place, 24)), StandIn(), 1)
    np.testing.assert_allclose(face.landmarks, SHAPE * 23 + np.array(place) + 11.5, atol=1e-3)
    assert face.yaw == 20


@pytest.mark.parametrize("size", [(1200, 900), (1600, 900), (1800, 900)])
@pytest.mark.parametrize("share", [(0, 0), (1, 1), (0.48, 0.53), (0.3, 0.71)])
def test_in_an_upright_photo_two_percent_are_of_the_width(size: tuple[int, int], share: tuple[float, float]) -> None:
    x, y = round(share[0] * (size[1] - 18)), round(share[1] * (size[0] - 18))
    (face,) = find_faces(scene((x, y, 18), size=size), StandIn(), 1)
    np.testing.assert_allclose(face.landmarks, SHAPE * 17 + (x + 8.5, y + 8.5), atol=1e-3)


def test_the_levels_of_an_upright_photo_end_at_a_share_of_its_width() -> None:
    assert levels((900, 1200)) == levels((900, 900)) == list(LEVELS)
    assert levels((1200, 900))[-1] == pytest.approx(0.16 * 0.75)
    assert levels((5000, 100))[-1] == pytest.approx(0.16 * 0.5)
    upright = levels((1800, 900))
    # Each level finds faces of 0.12 of its windows, and the next, which overlap by a third, whole ones of a third.
    assert all(0.12 * coarse < fine / 3 for coarse, fine in itertools.pairwise(upright))


def test_several_faces_once_each_and_the_largest_first() -> None:
    places = [(30, 40, 26), (700, 600, 60), (400, 300, 120), (1000, 100, 40)]
    found = find_faces(scene(*places, size=(900, 1200)), StandIn(), 4)
    assert [round(float(np.ptp(face.landmarks[[10, 152], 1]))) for face in found] == [119, 59, 39, 25]


def test_stops_when_enough_are_found() -> None:
    detector = StandIn()
    assert len(find_faces(scene((100, 100, 120), size=(400, 400)), detector, 1)) == 1
    assert (detector.glances, detector.looks) == ([], [(400, 400, 3)])  # in plain view: one look
    detector = StandIn()
    assert len(find_faces(scene((100, 100, 100), (700, 600, 26)), detector, 1)) == 1
    # 100 pixels show in a window of 600 pixels, of which every second is shown: no smaller windows.
    assert (300, 300, 3) in detector.glances and (360, 360, 3) not in detector.glances


def test_a_face_that_was_found_is_not_looked_at_again() -> None:
    detector = StandIn()
    assert len(find_faces(scene((100, 100, 100), (700, 600, 60)), detector, 3)) == 2
    assert len(detector.looks) == 1 + 2 + 2  # the photo; a plain and a mirrored view of each
    assert len(detector.glances) > 50


def test_no_glance_and_no_look_needs_more_than_its_pixels() -> None:
    detector = StandIn()
    assert len(find_faces(scene((1000, 900, 126), size=(2400, 3200)), detector, 2)) == 1
    assert max(max(shape) for shape in detector.glances) <= 512
    assert max(max(shape) for shape in detector.looks) <= 1536


def test_what_the_mirror_does_not_confirm_is_no_face() -> None:
    detector = StandIn(disagree=True)
    assert find_faces(scene((500, 400, 60)), detector, 1) == []
    assert len(detector.looks) > 5


def test_no_face_costs_a_bounded_number_of_glances() -> None:
    detector = StandIn()
    assert find_faces(np.zeros((900, 1200, 3), np.uint8), detector, 5) == []
    # The mirror image of the photo, and four levels of windows.
    assert len(detector.glances) == 1 + 1 + 3 * 2 + 3 * 3 + 5 * 4 + 9 * 7
    assert len(detector.looks) == 1


def test_a_face_only_glanced_at_in_the_mirror_is_given_unmirrored() -> None:
    class HalfBlind(StandIn):
        def boxes(self, photo: Photo) -> list[Box]:
            return [_box(face) for face in self._seen(photo) if face.yaw < 0]

        def faces(self, photo: Photo) -> list[Face]:
            return super().faces(photo) if photo.shape[0] == photo.shape[1] else []

    (face,) = find_faces(scene((300, 200, 110), size=(400, 600)), HalfBlind(), 1)
    assert face.yaw == 20
    np.testing.assert_allclose(face.landmarks, SHAPE * 109 + (354.5, 254.5), atol=1e-3)


def test_a_face_seen_in_a_mirror_is_turned_back() -> None:
    points, depth = (60 + 50 * SHAPE).astype(np.float32), np.arange(478, dtype=np.float32)
    view = View(np.zeros((120, 140, 3), np.uint8), left=10, top=20, scale=2)
    seen = Face(points, depth, yaw=20.0, pitch=3.0, roll=5.0)
    mirrored = Face(points[MIRROR] * np.float32([-1, 1]) + np.float32([139, 0]), depth[MIRROR], -20.0, 3.0, -5.0)
    for face in (_in_photo(seen, view), _in_photo(mirrored, view.mirror_image())):
        np.testing.assert_allclose(face.landmarks, 2 * points + 0.5 + (10, 20), atol=1e-4)
        np.testing.assert_array_equal(face.depth, 2 * depth)
        assert (face.yaw, face.pitch, face.roll) == (20, 3, 5)


@pytest.mark.parametrize(("shift", "faces"), [(1.0, 1), (6.0, 0)])
def test_the_two_views_may_differ_by_six_hundredths(shift: float, faces: int) -> None:
    # A detector that is off by (d, d) in the view is off by (-d, d) in the mirrored one: 2 d apart, of a height of 99.
    class Shifted(StandIn):
        def _seen(self, photo: Photo) -> list[Face]:
            return [
                dataclasses.replace(face, landmarks=face.landmarks + np.float32(shift)) for face in super()._seen(photo)
            ]

    assert len(find_faces(scene((500, 400, 100)), Shifted(), 1)) == faces


def test_least_ends_the_search_where_only_passers_by_are_left() -> None:
    photo = scene((100, 100, 127), (900, 700, 40), size=(900, 1000))
    for least, sides in ((0.0, [126, 39]), (0.3, [126, 39]), (0.8, [126])):
        detector = StandIn()
        found = find_faces(photo, detector, 5, least=least)
        assert [round(float(np.ptp(face.landmarks[[10, 152], 1]))) for face in found] == sides
        if least == 0.8:
            # One look, a closer one at the face in two views, and a glance at the mirrored photo.
            assert len(detector.looks) <= 3 and len(detector.glances) <= 2
    (face,) = find_faces(
        scene((900, 700, 24)), StandIn(), 5, least=1.0
    )  # a small one alone is not small beside another
    assert float(np.ptp(face.landmarks[[10, 152], 1])) == pytest.approx(23)
