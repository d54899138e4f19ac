"""The stages of the shipped weights that train both stages of the network together, each a preset."""

from dataclasses import replace

from examples.mask_removal.settings import Config
from examples.mask_removal.stages import small_finish


def joint() -> Config:
    """The first stage of :func:`coarse` and the second one of :func:`small_finish`, together.

    Without the contrastive term, so that no image is computed twice.
    """
    return replace(
        small_finish(),
        coarse="unet",
        weights=replace(small_finish().weights, contrastive=0.0),
        batch_size=8,
        betas=(0.9, 0.999),
        learning_rate_discriminator=4e-4,
        warmup_steps=100,
        steps_constant=1800,
        steps_decay=1200,
        sheet_every=500,
        checkpoint_every=250,
        validation_faces=64,
    )


def joint_finish() -> Config:
    """The first stage of :func:`coarse_finish` and the second one of :func:`joint`, given the skips that it lacks."""
    return replace(
        joint(),
        skips="all",
        self_ensemble=True,
        weights=replace(joint().weights, adversarial=0.005, lpips=2.0, lpips_vgg=4.0),
        half_size_share=0.65,
        steps_constant=2600,
        steps_decay=1700,
    )


def polish() -> Config:
    """From the weights of :func:`joint_finish`, with more of LPIPS and more steps at full size."""
    return replace(
        joint_finish(),
        weights=replace(joint_finish().weights, lpips=3.0, lpips_vgg=6.0),
        discriminator_every=2,
        reference_share=0.55,
        half_size_share=0.5,
        learning_rate_generator=5e-4,
        steps_constant=1900,
        steps_decay=1900,
    )


def polish_finish() -> Config:
    """More of :func:`polish`, from its generator, with still more of both."""
    return replace(
        polish(),
        weights=replace(polish().weights, lpips_vgg=8.0),
        half_size_share=0.3,
        steps_constant=2900,
        steps_decay=2800,
        sheet_every=1000,
        checkpoint_every=300,
    )


def last() -> Config:
    """More of :func:`polish_finish`, from its generator, and again with more of both.

    The shipped weights went on from there with options, which their model card lists.
    """
    return replace(
        polish_finish(),
        weights=replace(polish_finish().weights, lpips_vgg=10.0),
        half_size_share=0.25,
        steps_constant=3300,
        steps_decay=3000,
    )
