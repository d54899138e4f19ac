"""Spectral normalisation: a layer's weight divided by its largest singular value."""

from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from gatedinpaint._checks import check_count

Layer = TypeVar("Layer", bound=nn.Module)

_FIRST_ITERATIONS = 15
_SMALLEST = 1e-12


class SpectralNorm(nn.Module):
    r"""The parametrization behind :func:`spectral_norm`.

    .. math:: W' = W / \sigma(W), \qquad \sigma(W) \approx u^\top W v

    W is seen as a matrix of out_channels rows, which the weight's dimension ``dim`` counts. u and v follow its leading
    singular vectors by one power iteration for each forward pass in training, after 15 when the layer is made; in
    evaluation they stay. Computed in float32 (float64 stays).

    Differs from :func:`torch.nn.utils.parametrizations.spectral_norm` in one thing: a weight of zeros gives zeros, not
    NaN, and can grow again. Its buffers have the same names, so checkpoints fit both.
    """

    _u: Tensor
    _v: Tensor

    def __init__(self, weight: Tensor, *, iterations: int = 1, dim: int = 0) -> None:
        super().__init__()
        self.iterations = check_count(iterations, name="iterations")
        self.dim = dim
        matrix = self._matrix(weight.detach())
        self.register_buffer("_u", F.normalize(torch.randn_like(matrix[:, 0]), dim=0))
        self.register_buffer("_v", F.normalize(torch.randn_like(matrix[0]), dim=0))
        self._iterate(matrix, _FIRST_ITERATIONS)

    def forward(self, weight: Tensor) -> Tensor:
        """The weight divided by its spectral norm."""
        matrix = self._matrix(weight)
        if self.training:
            self._iterate(matrix.detach(), self.iterations)
        # Copies: the next forward pass moves the buffers, and the backward pass of this one needs what it used.
        u, v = self._u.clone(), self._v.clone()
        sigma = (u * _times(matrix, v)).sum()
        return (weight.to(sigma.dtype) / sigma.clamp(min=_SMALLEST)).to(weight.dtype)

    def _matrix(self, weight: Tensor) -> Tensor:
        return weight.movedim(self.dim, 0).flatten(1).to(torch.promote_types(weight.dtype, torch.float32))

    @torch.no_grad()
    def _iterate(self, matrix: Tensor, iterations: int) -> None:
        for _ in range(iterations):
            _turn(self._u, _times(matrix, self._v))
            _turn(self._v, _times(matrix.T, self._u))

    def follow(self, weight: Tensor) -> None:
        """Point u and v along the leading singular vectors of a weight that was changed other than by training."""
        self._iterate(self._matrix(weight.detach()), _FIRST_ITERATIONS)

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Assigning a weight stores it as it is; it is normalised when it is read."""
        self.follow(weight)
        return weight


def spectral_norm(layer: Layer, *, iterations: int = 1) -> Layer:
    """Divide the weight of ``layer`` by its largest singular value, in place, and return the layer.

    A layer with a parametrization cannot be pickled, nor can a network that has one: save its ``state_dict``, or the
    network with :func:`gatedinpaint.save_model`. ``copy.deepcopy`` works.

    Args:
        layer: a convolution, transposed convolution or linear layer with a ``weight``. Initialise it before: the first
            power iterations run here.
        iterations: power iterations for each forward pass in training.

    Raises:
        TypeError: iterations that are no whole number.
        ValueError: a layer without a weight matrix, or iterations that are not positive.

    Reference:
        Miyato et al., "Spectral Normalization for Generative Adversarial Networks", ICLR 2018.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> layer = spectral_norm(nn.Linear(8, 5))
        >>> round(torch.linalg.matrix_norm(layer.eval().weight, ord=2).item(), 1)
        1.0
    """
    weight = getattr(layer, "weight", None)
    if not isinstance(weight, Tensor) or weight.ndim < 2:
        raise ValueError(f"layer must have a weight of two or more dimensions; got {type(layer).__name__}.")
    # A transposed convolution keeps its weight as (in_channels, out_channels, …).
    dim = 1 if isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d) else 0
    parametrize.register_parametrization(layer, "weight", SpectralNorm(weight, iterations=iterations, dim=dim))
    return layer


def _times(matrix: Tensor, vector: Tensor) -> Tensor:
    """Matrix · vector, written as a sum: autocast would run a product in half precision."""
    return (matrix * vector).sum(1)


def _turn(vector: Tensor, direction: Tensor) -> None:
    """Point a unit vector in a direction; a direction of zero leaves it, so that it is never lost."""
    length = torch.linalg.vector_norm(direction)
    # A network in half precision has rounded its buffers.
    turned = (direction / length.clamp(min=_SMALLEST)).to(vector.dtype)
    # As out=, not copy_: torch.func.grad does not let a function change in place what it was not given.
    torch.where(length > 0, turned, vector, out=vector)
