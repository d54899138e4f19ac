"""Is it still the same person?"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from gatedinpaint._checks import check_float, check_image, check_same_shape
from gatedinpaint.metrics._inputs import check_range


def identity_similarity(input: Tensor, target: Tensor, *, embedder: Callable[[Tensor], Tensor]) -> Tensor:
    r"""Cosine of the angle between the embeddings of each pair of images.

    .. math:: s = \frac{\langle e(x), e(t) \rangle}{\lVert e(x) \rVert \, \lVert e(t) \rVert}

    No face recogniser comes with this library: bring your own, and name it beside the number. Between photos of
    different people most give values near 0, and above a threshold that they publish for one person.

    Args:
        input: (B, 3, H, W) in [−1, 1].
        target: the shape of ``input``.
        embedder: images (B, 3, H, W) in [−1, 1] → embeddings (B, D). What else it wants, another size or range, is
            its own affair.

    Returns:
        (B,) in [−1, 1], float32 or wider; 0 where an embedding is zero.

    Raises:
        TypeError: images or embeddings that are no floating-point tensors.
        ValueError: images that differ in shape or lie outside [−1, 1]; embeddings that are not (B, D).

    Reference:
        Deng et al., "ArcFace: Additive Angular Margin Loss for Deep Face Recognition", CVPR 2019, for the measure.

    Example:
        >>> def colour(image):
        ...     return image.mean((2, 3))
        >>> red = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1).expand(1, 3, 4, 4)
        >>> identity_similarity(red, torch.ones(1, 3, 4, 4), embedder=colour)
        tensor([0.5774])
    """
    check_image(input, name="input")
    check_same_shape(input, target)
    for name, image in (("input", input), ("target", target)):
        check_range(image, -1.0, 1.0, name=name)
    return F.cosine_similarity(embedded(embedder, input), embedded(embedder, target), dim=1)


def embedded(embedder: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """What an embedder makes of images (B, 3, H, W): (B, D) in float32 or wider; it raises for anything else."""
    embedding = embedder(images)
    check_float(embedding, name="embedding")
    if embedding.ndim != 2 or len(embedding) != len(images):
        raise ValueError(f"embedder must give (B, D) with B = {len(images)}; got {tuple(embedding.shape)}.")
    return embedding.to(torch.promote_types(embedding.dtype, torch.float32))
