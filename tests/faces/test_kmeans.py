import numpy as np
import pytest
import scipy.cluster.vq

from gatedinpaint.faces import kmeans
from gatedinpaint.image import Photo


def test_finds_separate_clusters_biggest_first() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2], [300, 200, 100])
    samples = np.array([[0, 0, 0], [50, 0, 0], [0, 90, 20]])[truth] + rng.normal(size=(600, 3))
    order = rng.permutation(600)
    labels, centres = kmeans(samples[order], 3)
    np.testing.assert_array_equal(labels, truth[order])
    np.testing.assert_allclose(centres, [samples[truth == label].mean(0) for label in range(3)])


def test_is_as_good_as_scipys() -> None:
    samples = np.random.default_rng(1).uniform(size=(2000, 3))

    def cost(centres: np.ndarray) -> float:
        return float(np.square(scipy.cluster.vq.vq(samples, centres)[1]).sum())

    theirs = min(cost(scipy.cluster.vq.kmeans2(samples, 3, minit="++", iter=100, rng=seed)[0]) for seed in range(5))
    labels, centres = kmeans(samples, 3)
    assert cost(centres) < 1.03 * theirs
    np.testing.assert_array_equal(labels, scipy.cluster.vq.vq(samples, centres)[0])


def test_of_few_distinct_samples() -> None:
    labels, centres = kmeans(np.full((10, 3), 7.0), 3)
    assert centres.tolist() == [[7, 7, 7]] and not labels.any()
    labels, centres = kmeans(np.array([[1.0], [1.0], [5.0]]), 3)
    assert centres.tolist() == [[1], [5]] and labels.tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("samples", "k", "message"),
    [
        (np.zeros((0, 3)), 3, "N at least 1"),
        (np.zeros(5), 3, r"values\[:, None\]"),
        (np.array([[1.0], [np.nan]]), 2, "finite"),
        (np.zeros((5, 0)), 3, r"samples must be \(N, D\)"),
        (np.zeros((5, 3)), 0, "k must be an int, 1 or more; got 0"),
        (np.zeros((5, 3)), 2.5, "k must be an int, 1 or more; got 2.5"),
        (np.array([[1e200], [0.0]]), 2, "samples must be at most 1e.100"),
    ],
)
def test_refuses(samples: np.ndarray, k: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kmeans(samples, k)


@pytest.mark.parametrize(("cells", "dimensions"), [(0, 3), (32, 4), (1500, 3), (2.5, 1)])
def test_refuses_a_histogram(cells: int, dimensions: int) -> None:
    with pytest.raises(ValueError, match="at most 3 dimensions"):
        kmeans(np.zeros((5, dimensions)), 2, cells=cells)


def test_a_histogram_keeps_the_inertia_of_a_photo(photo: Photo) -> None:
    colours = photo[:256, 128:384].reshape(-1, 3)

    def inertia(centres: np.ndarray) -> float:
        return float(np.square(scipy.cluster.vq.vq(colours.astype(float), centres)[1]).sum())

    runs = [scipy.cluster.vq.kmeans2(colours.astype(float), 3, minit="++", iter=50, rng=seed)[0] for seed in range(4)]
    labels, centres = kmeans(colours, 3, cells=48)
    assert inertia(centres) < 1.001 * min(inertia(run) for run in runs)
    # A cell whose colours lie on both sides of a border goes to one cluster: few pixels.
    assert (labels == scipy.cluster.vq.vq(colours.astype(float), centres)[0]).mean() > 0.98
    np.testing.assert_array_equal(np.argsort(-np.bincount(labels), kind="stable"), [0, 1, 2])


def test_a_histogram_with_a_cell_per_sample_is_exact() -> None:
    samples = np.array([[0.0, 2.0], [1.0, 2.0], [9.0, 2.0], [8.0, 2.0], [10.0, 2.0]])  # one axis is constant
    labels, centres = kmeans(samples, 2, cells=64)
    assert labels.tolist() == [1, 1, 0, 0, 0] and centres.tolist() == [[9, 2], [0.5, 2]]


def test_a_histogram_keeps_small_differences_of_large_samples() -> None:
    samples = 2.0**40 + np.array([[0.0], [1.0], [8.0], [9.0], [10.0]])  # float32 would make them one
    labels, centres = kmeans(samples, 2, cells=16)
    assert labels.tolist() == [1, 1, 0, 0, 0] and (centres - 2.0**40).tolist() == [[9], [0.5]]


def test_a_histogram_of_one_colour() -> None:
    labels, centres = kmeans(np.full((10, 3), 7, np.uint8), 3, cells=32)
    assert centres.tolist() == [[7, 7, 7]] and not labels.any()


def test_whole_numbers_of_numpy() -> None:
    samples = np.random.default_rng(0).random((50, 3))
    for one, other in ((3, np.int64(3)), (2, np.int16(2))):
        np.testing.assert_array_equal(kmeans(samples, one)[0], kmeans(samples, other)[0])
        np.testing.assert_array_equal(kmeans(samples, 2, cells=one)[0], kmeans(samples, 2, cells=other)[0])
    with pytest.raises(ValueError, match="k must be an int, 1 or more; got True"):
        kmeans(samples, True)
