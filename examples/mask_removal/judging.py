"""What a filled hole is judged by."""

from collections.abc import Callable, Sequence

from torch import Tensor

from examples.mask_removal.data import Batch
from examples.mask_removal.lower_face import LowerFaceFeatures
from gatedinpaint import composite
from gatedinpaint.metrics import LPIPS, InpaintingEvaluation

FIGURES = ("PSNR hole", "SSIM hole", "LPIPS alex", "LPIPS vgg", f"Fréchet distance ({LowerFaceFeatures.name})")


def evaluation_of(
    networks: Sequence[LPIPS], extractors: Sequence[Callable[[Tensor], Tensor]] = ()
) -> InpaintingEvaluation:
    """With the Fréchet distance of the lower face where the trunk of ``LPIPS("vgg")`` is there for it."""
    lower_faces = [LowerFaceFeatures(network) for network in networks if network.net == "vgg"]
    return InpaintingEvaluation(lpips=networks, extractors=[*lower_faces, *extractors])


def judged(result: Tensor, batch: Batch) -> Tensor:
    """The result in the hole, the image around it."""
    return composite(result.clamp(-1, 1), batch.image, batch.mask)
