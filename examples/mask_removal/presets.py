"""The variants of the configuration, by name: each is a function that returns a complete one."""

from examples.mask_removal.joint_stages import joint, joint_finish, last, polish, polish_finish
from examples.mask_removal.settings import Config, LossWeights
from examples.mask_removal.stages import coarse, coarse_finish, coarse_start, small, small_finish, small_start


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


def smoke() -> Config:
    """A tiny network, to see that everything runs: two epochs, or with ``--steps-constant 10`` ten steps."""
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
    "coarse_start": coarse_start,
    "coarse": coarse,
    "coarse_finish": coarse_finish,
    "joint": joint,
    "joint_finish": joint_finish,
    "polish": polish,
    "polish_finish": polish_finish,
    "last": last,
    "smoke": smoke,
}
