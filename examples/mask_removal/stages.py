"""The first stages in which the shipped weights were trained, each a preset: what one ends with, a later one begins
with. ``joint_stages.py`` has the rest."""

from dataclasses import replace

from examples.mask_removal.settings import Config, LossWeights


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
    """4.3 M parameters at 128×128, for one CPU core; with ``--start-from`` that of a run of :func:`small_start`.

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
    """The end of :func:`small`, from its generator: on a set of 256-pixel crops, at half size in three of four steps.

    Faces stand out of place, remains of face masks around the hole, and LPIPS over VGG-16 joins that over AlexNet.
    Without the clipped gradient such a run once diverged.
    """
    return replace(
        small(),
        weights=replace(small().weights, adversarial=0.01, lpips=2.5, lpips_vgg=3.5),
        hole_weight=14.0,
        reference_share=0.5,
        placement=0.03,
        remains_share=0.3,
        half_size_share=0.75,
        warmup_steps=150,
        steps_constant=4850,
        steps_decay=1800,
        learning_rate_generator=4e-4,
        clip_norm=3.0,
        ema_decay=0.998,
        sheet_every=600,
        checkpoint_every=250,
        validation_faces=32,
    )


def coarse_start() -> Config:
    """What :func:`coarse` starts from: the U-Net as first stage, by itself and by L1 alone, at 64×64."""
    return replace(
        small(),
        coarse="unet",
        coarse_only=True,
        weights=replace(small().weights, adversarial=0.0, total_variation=0.0, contrastive=0.0, lpips=0.0),
        hole_weight=6.0,
        reference_share=0.5,
        placement=0.03,
        remains_share=0.2,
        batch_size=32,
        warmup_steps=0,
        steps_constant=1600,
        steps_decay=0,
        learning_rate_generator=3e-3,
        betas=(0.9, 0.999),
        clip_norm=3.0,
        ema_decay=0.995,
        best_by="psnr",
        sheet_every=400,
        checkpoint_every=400,
        validation_faces=100,
    )


def coarse() -> Config:
    """The shipped weights' first stage, at 128×128, from the one of :func:`coarse_start` by ``--coarse-from``.

    By itself it learns at five times the rate of :func:`joint`.
    """
    return replace(
        coarse_start(),
        remains_share=0.25,
        batch_size=16,
        steps_constant=2400,
        steps_decay=1800,
        learning_rate_generator=2e-3,
        ema_decay=0.997,
        sheet_every=600,
        checkpoint_every=300,
    )


def coarse_finish() -> Config:
    """What follows :func:`coarse`: on a set of 256-pixel crops, at half size in three of four steps."""
    return replace(
        coarse(),
        half_size_share=0.75,
        steps_constant=1300,
        steps_decay=1300,
        sheet_every=650,
        checkpoint_every=200,
        validation_faces=64,
    )
