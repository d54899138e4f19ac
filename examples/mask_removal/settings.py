"""Every setting of a training run: one frozen dataclass, whose defaults are the paper's."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from examples.mask_removal.precision import Precision

_AT_LEAST_1 = (
    *("base_channels", "discriminator_channels", "accumulation", "discriminator_every"),
    *("log_every", "sheet_every", "validation_faces", "checkpoint_every", "keep_checkpoints"),
)
_AT_LEAST_0 = (
    *("epochs_constant", "epochs_decay", "steps_constant", "steps_decay", "warmup_steps", "seed"),
    *("clip_norm", "damaged_limit", "learning_rate_generator", "learning_rate_discriminator"),
    *("valid_weight", "hole_weight", "reference_rank"),
)
_SHARES = ("reference_share", "ema_decay", "twin_colour", "window", "placement", "remains_share", "half_size_share")


@dataclass(frozen=True)
class LossWeights:
    """λ of every term. The adversarial, perceptual, style and LPIPS terms are not computed when their weights are 0."""

    adversarial: float = 0.1
    reconstruction: float = 1.0
    total_variation: float = 1.0
    contrastive: float = 1.0
    perceptual: float = 0.05
    style: float = 80.0
    lpips: float = 0.0
    """Not one of the paper's terms. Needs ``features="alexnet"``."""
    lpips_vgg: float = 0.0
    """LPIPS over VGG-16, not one of the paper's terms. Estimated on half of the images, for its price."""


@dataclass(frozen=True)
class Config:
    """Everything that decides a training run but where its files are. The defaults are the paper's."""

    base_channels: int = 32
    coarse: Literal["dilated", "unet"] = "dilated"
    """First stage of the generator; the paper's is the dilated one."""
    skips: Literal["deep", "all"] = "deep"
    """Skips of its second stage; the paper's are the deep ones."""
    self_ensemble: bool = False
    """In use, not in training, the mean over the image and its mirror image is the first stage's result."""
    reference_rank: int = 0
    """Unless it is 0, all weights stay as they are, and updates of this rank are trained, which are added to them for
    what is filled with a reference."""
    coarse_only: bool = False
    """Train the first stage alone: the second one keeps its weights and is not run."""
    discriminator_channels: int = 32
    features: Literal["vgg19", "vgg16", "alexnet"] = "vgg19"
    """Network over whose features the perceptual and the style loss measure. The paper's is VGG-19."""
    weights: LossWeights = field(default_factory=LossWeights)
    hole_weight: float = 5.0
    """λ_hole of the reconstruction, on both stages."""
    area_normalized: bool = False
    """Whether hole and rest count by their mean difference, whatever their sizes in the batch of all ranks. With
    ``accumulation`` each part goes by its own sizes, and then counts like the others."""
    window: float = 1.0
    """Side of the square around the hole that the discriminator and the feature networks see, as a share of the
    image's; 1 shows them all of it, as the paper does. The cost of both falls with its area."""
    valid_weight: float = 1.0
    """Its weight outside the hole. The result takes nothing from there, but a seam needs a network that knows it."""
    temperature: float = 0.1
    """τ of the contrastive loss."""

    batch_size: int = 16
    """Images in a step, over all ranks; each comes with its augmented twin, so the networks see twice as many. Without
    the contrastive loss there are no twins: half of the images are changed as a twin would be."""
    accumulation: int = 1
    """Parts in which each rank sends its share of the batch through the networks. Negatives of the contrastive loss
    are those of one part."""
    epochs_constant: float = 10.0
    """Epochs at the full learning rate ..."""
    epochs_decay: float = 5.0
    """... and then of linear decay to 0."""
    steps_constant: int = 0
    """The schedule in steps, which replaces that in epochs unless both are 0."""
    steps_decay: int = 0
    warmup_steps: int = 0
    """First steps without the adversarial term."""
    discriminator_every: int = 1
    """The discriminator learns in every n-th step only."""
    learning_rate_generator: float = 1e-4
    learning_rate_discriminator: float = 4e-4
    betas: tuple[float, float] = (0.5, 0.999)
    ema_decay: float = 0.999
    """Horizon of the running average of G's weights, which is what is saved and sampled."""
    clip_norm: float = 0.0
    """Longest gradient of each network; 0 does not clip."""
    precision: Precision = "fp32"
    """Number format of the networks; see ``precision.py``."""

    reference_share: float = 0.6
    """Share of samples that come with a reference."""
    placement: float = 0.0
    """Largest shift of a face from where the crops of the set have it, as a share of their side; scale and angle change
    along."""
    remains_share: float = 0.0
    """Share of samples with the remains of a drawn face mask around the hole."""
    half_size_share: float = 0.0
    """Share of steps that see the images at half their size, so that one network serves for both. Unless it is 0, the
    other steps take half of the batch, since at full size an image costs four times as much."""
    damaged_limit: float = 0.2
    """Share of an epoch's samples that may be damaged; others stand in for them, and training goes on."""
    twin_colour: float = 0.2
    """Largest relative change of brightness, contrast and saturation in the twin."""
    twin_hue: float = 0.1
    """Largest hue rotation in the twin, in turns."""
    channels_last: bool = False
    """Memory layout of G; faster on a CPU for narrow networks."""
    seed: int = 0
    log_every: int = 20
    sheet_every: int = 250
    """Steps between sheets of validation faces and measurements on them."""
    validation_faces: int = 64
    """Validation faces that are measured, at most."""
    best_by: Literal["lpips", "psnr", "ssim"] = "lpips"
    """Figure by which the best checkpoint is kept. LPIPS is measured only for ``"lpips"``: it needs AlexNet."""
    checkpoint_every: int = 250
    keep_checkpoints: int = 2
    """The last ones; the best is kept besides."""

    def __post_init__(self) -> None:
        if self.weights.lpips and self.features != "alexnet":
            raise ValueError(f'weights.lpips needs features="alexnet"; got features="{self.features}".')
        if self.features not in ("vgg19", "vgg16", "alexnet"):
            raise ValueError(f'features must be "vgg19", "vgg16" or "alexnet"; got {self.features!r}.')
        if self.coarse not in ("dilated", "unet"):
            raise ValueError(f'coarse must be "dilated" or "unet"; got {self.coarse!r}.')
        if self.skips not in ("deep", "all"):
            raise ValueError(f'skips must be "deep" or "all"; got {self.skips!r}.')
        if self.coarse_only and self.weights.contrastive:
            raise ValueError(
                "coarse_only leaves no embedding for the contrastive loss. Add --weights.contrastive 0 to it."
            )
        if self.reference_rank and self.coarse_only:
            raise ValueError("reference_rank trains updates of both stages. Leave coarse_only out, or reference_rank.")
        if self.precision not in get_args(Precision):
            raise ValueError(f"precision must be one of {get_args(Precision)}; got {self.precision!r}.")
        if self.best_by not in ("lpips", "psnr", "ssim"):
            raise ValueError(f'best_by must be "lpips", "psnr" or "ssim"; got {self.best_by!r}.')
        if self.batch_size < 2:
            raise ValueError(
                f"batch_size must be 2 or more: the contrastive loss needs negatives; got {self.batch_size}."
            )
        for name in _AT_LEAST_1:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more; got {getattr(self, name)}.")
        for name in _AT_LEAST_0:
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be 0 or more; got {getattr(self, name)}.")
        for name in _SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be from 0 to 1; got {getattr(self, name)}.")
        if not self.window:
            raise ValueError("window must be larger than 0: nothing to see.")
        if not 1e-3 <= self.temperature < float("inf"):
            raise ValueError(f"temperature must be at least 0.001; got {self.temperature}.")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas must be from 0 to below 1; got {self.betas}.")
        if not 0 <= self.twin_hue <= 0.5:
            raise ValueError(f"twin_hue must be from 0 to 0.5 turns; got {self.twin_hue}.")
        weights = asdict(self.weights)
        for name, weight in weights.items():
            if not 0 <= weight < float("inf"):
                raise ValueError(f"weights.{name} must be 0 or more; got {weight}.")
        if not any(weights.values()):
            raise ValueError("weights are all 0: nothing to learn.")
        if self.warmup_steps and not any(weight for name, weight in weights.items() if name != "adversarial"):
            raise ValueError(
                "weights.adversarial is the only weight that is not 0, and left out of the warm-up: nothing to learn "
                f"there. Set warmup_steps to 0; got {self.warmup_steps}."
            )
        if not self.epochs_constant + self.epochs_decay + self.steps_constant + self.steps_decay:
            raise ValueError("epochs_constant and epochs_decay are both 0, and so are the steps: nothing to train.")

    @property
    def needs_features(self) -> bool:
        """Whether a term measures over features."""
        return bool(self.weights.perceptual or self.weights.style or self.weights.lpips)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for the run's ``config.json``."""
        return asdict(self)
