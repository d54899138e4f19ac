"""The trainer's configuration: one frozen dataclass; each variant is a function that returns a complete one."""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from examples.mask_removal.precision import Precision

_AT_LEAST_1 = (
    *("base_channels", "discriminator_channels", "accumulation", "discriminator_every"),
    *("log_every", "sheet_every", "validation_faces", "checkpoint_every", "keep_checkpoints"),
)
_AT_LEAST_0 = (
    *("epochs_constant", "epochs_decay", "steps_constant", "steps_decay", "warmup_steps", "seed"),
    *("clip_norm", "damaged_limit", "learning_rate_generator", "learning_rate_discriminator"),
    *("valid_weight", "hole_weight"),
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
    """LPIPS over VGG-16, not one of the paper's terms. Estimated on a quarter of the images, for its price."""


@dataclass(frozen=True)
class Config:
    """Everything that decides a training run but where its files are. The defaults are the paper's."""

    base_channels: int = 32
    discriminator_channels: int = 32
    features: Literal["vgg19", "vgg16", "alexnet"] = "vgg19"
    """Network over whose features the perceptual and the style loss measure. The paper's is VGG-19."""
    weights: LossWeights = field(default_factory=LossWeights)
    hole_weight: float = 5.0
    """λ_hole of the reconstruction, on both stages."""
    area_normalized: bool = False
    """Whether hole and rest count by their mean difference, whatever their sizes in the batch of all ranks."""
    window: float = 1.0
    """Side of the square around the hole that the discriminator and the feature networks see, as a share of the
    image's; 1 shows them all of it, as the paper does. The cost of both falls with its area."""
    valid_weight: float = 1.0
    """Its weight outside the hole. The result takes nothing from there, but a seam needs a network that knows it."""
    temperature: float = 0.1
    """τ of the contrastive loss."""

    batch_size: int = 16
    """Images in a step, over all ranks; each comes with its augmented twin, so the networks see twice as many."""
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
        if not 0 <= self.twin_hue <= 0.5:
            raise ValueError(f"twin_hue must be from 0 to 0.5 turns; got {self.twin_hue}.")
        weights = asdict(self.weights)
        for name, weight in weights.items():
            if not 0 <= weight < float("inf"):
                raise ValueError(f"weights.{name} must be 0 or more; got {weight}.")
        if not any(weights.values()):
            raise ValueError("weights are all 0: nothing to learn.")
        if not self.epochs_constant + self.epochs_decay + self.steps_constant + self.steps_decay:
            raise ValueError("epochs_constant and epochs_decay are both 0, and so are the steps: nothing to train.")

    @property
    def needs_features(self) -> bool:
        """Whether a term measures over features."""
        return bool(self.weights.perceptual or self.weights.style or self.weights.lpips)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for the run's ``config.json``."""
        return asdict(self)


def paper() -> Config:
    """As published: c = 32 at 256×256, VGG-19, all six losses with their weights, 10 + 5 epochs, O2.

    O2 is for GPUs. On a CPU add ``--precision fp32``.
    """
    return Config(precision="o2")


def deepgin() -> Config:
    """DeepGIN-style: the paper's networks with weights between its own and those of its ancestor.

    Derived, not published: the mask-inpainting paper names two values of λ_style, 80 and 40, and its released code
    weighs with 40 and lets the adversarial term count in full. This takes the latter two, leaves the contrastive
    loss out, which DeepGIN does not have, and lets the hole count by its mean, as DeepGIN's reconstruction does.
    """
    weights = LossWeights(adversarial=1.0, style=40.0, contrastive=0.0)
    return Config(precision="o2", weights=weights, hole_weight=1.0, area_normalized=True)


def small_start() -> Config:
    """What :func:`small` starts from: the same network at 64×64, where an image costs a quarter and the networks find
    out what a face is. No adversarial term.

    A CPU that computes in bfloat16 (AVX-512 BF16, AMX) takes half the time with ``--precision bf16``.
    """
    return replace(
        small(),
        weights=replace(small().weights, adversarial=0.0),
        window=0.75,
        batch_size=8,
        warmup_steps=0,
        steps_constant=2300,
        steps_decay=0,
        learning_rate_generator=8e-4,
        ema_decay=0.995,
        sheet_every=400,
        checkpoint_every=400,
    )


def small() -> Config:
    """The shipped weights: 4.3 M parameters at 128×128, trained on one CPU core; with ``--start-from`` the generator
    of a run of :func:`small_start`.

    Made for about 17,000 photos: 7,000 steps, all but the first 600 with the adversarial term, on a window around the
    hole. LPIPS takes the place of the perceptual and the style term.
    """
    return Config(
        base_channels=8,
        discriminator_channels=16,
        features="alexnet",
        weights=LossWeights(
            adversarial=0.03, total_variation=0.02, contrastive=0.02, perceptual=0.0, style=0.0, lpips=3.0
        ),
        hole_weight=12.0,
        valid_weight=0.3,
        window=0.75,
        batch_size=4,
        epochs_constant=0.0,
        epochs_decay=0.0,
        steps_constant=4800,
        steps_decay=2200,
        warmup_steps=600,
        learning_rate_generator=5e-4,
        learning_rate_discriminator=8e-4,
        ema_decay=0.998,
        twin_hue=0.03,
        channels_last=True,
        sheet_every=500,
        checkpoint_every=500,
        validation_faces=96,
    )


def small_finish() -> Config:
    """The end of :func:`small`, from its generator: on a set of 256-pixel crops, at half size in every other step.

    Faces stand out of place, remains of face masks around the hole, and LPIPS over VGG-16 joins that over AlexNet.
    Without the clipped gradient such a run once diverged.
    """
    return replace(
        small(),
        weights=replace(small().weights, adversarial=0.02, lpips=2.0, lpips_vgg=2.5),
        hole_weight=14.0,
        placement=0.05,
        remains_share=0.5,
        half_size_share=0.5,
        warmup_steps=150,
        steps_constant=1300,
        steps_decay=1150,
        learning_rate_generator=3e-4,
        clip_norm=3.0,
        ema_decay=0.997,
        checkpoint_every=250,
        validation_faces=32,
    )


def smoke() -> Config:
    """A few seconds, to see that everything runs."""
    return Config(
        base_channels=2,
        discriminator_channels=2,
        features="alexnet",
        batch_size=2,
        epochs_constant=1.0,
        epochs_decay=1.0,
        best_by="psnr",
        log_every=1,
        sheet_every=2,
        checkpoint_every=2,
    )


PRESETS = {
    "paper": paper,
    "deepgin": deepgin,
    "small_start": small_start,
    "small": small,
    "small_finish": small_finish,
    "smoke": smoke,
}


def from_dict(values: Any) -> Config:
    """The inverse of :meth:`Config.to_dict`; unknown names and values of other types are errors.

    What is missing has its default: a run begun before a setting existed did what the default does.
    """
    defaults = Config().to_dict()
    _check_like(values, defaults, name="configuration")
    values = defaults | values
    return Config(**{**values, "weights": LossWeights(**values["weights"]), "betas": tuple(values["betas"])})


def read_config(path: Path) -> Config:
    """The configuration in a run's ``config.json``.

    Raises:
        ValueError: it holds none; the message names the file.
    """
    try:
        return from_dict(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:  # what is no JSON or no UTF-8 raises a ValueError too
        raise ValueError(f"{path}: not a configuration: {error}") from error


def _check_like(value: Any, example: Any, *, name: str) -> None:
    """Raise unless ``value`` is built like ``example``: known names, same types; whole numbers may stand for floats."""
    if isinstance(example, dict) and isinstance(value, dict):
        if unknown := sorted(value.keys() - example.keys()):
            raise ValueError(f"{name}: unknown settings {unknown}; known are {sorted(example)}.")
        for key in value:
            _check_like(value[key], example[key], name=key)
    elif isinstance(example, tuple) and isinstance(value, tuple | list) and len(value) == len(example):
        for index, item in enumerate(value):
            _check_like(item, example[index], name=f"{name}[{index}]")
    elif type(value) is not type(example) and not (type(value) is int and type(example) is float):
        raise ValueError(f"{name} must be like {example!r} ({type(example).__name__}); got {value!r}.")
