import json
from dataclasses import replace
from pathlib import Path

import pytest

from examples.mask_removal.config import (
    PRESETS,
    Config,
    LossWeights,
    deepgin,
    from_dict,
    paper,
    read_config,
    small,
    smoke,
)


def test_paper_preset_is_the_papers() -> None:
    config = paper()
    assert (config.base_channels, config.features, config.epochs_constant, config.epochs_decay) == (32, "vgg19", 10, 5)
    assert config.weights == LossWeights(adversarial=0.1, perceptual=0.05, style=80.0)
    assert (config.learning_rate_generator, config.learning_rate_discriminator, config.betas) == (
        1e-4,
        4e-4,
        (0.5, 0.999),
    )


@pytest.mark.parametrize("preset", [paper, deepgin, small, smoke])
def test_configuration_round_trips_through_json(preset) -> None:
    assert from_dict(json.loads(json.dumps(preset().to_dict()))) == preset()
    assert PRESETS[preset.__name__] is preset


def test_bad_configurations() -> None:
    with pytest.raises(ValueError, match='needs features="alexnet"; got features="vgg19"'):
        Config(weights=LossWeights(lpips=1.0))
    with pytest.raises(ValueError, match="batch_size must be 2 or more"):
        Config(batch_size=1)
    with pytest.raises(ValueError, match=r"unknown settings \['widht'\]"):
        from_dict(paper().to_dict() | {"widht": 3})
    for setting in (
        {"log_every": 0},
        {"base_channels": 0},
        {"warmup_steps": -1},
        {"features": "vgg"},
        {"precision": "fp8"},
        {"best_by": "fid"},
        {"learning_rate_generator": float("nan")},
        {"learning_rate_discriminator": -1.0},
        {"reference_share": 1.1},
        {"ema_decay": 2.0},
        {"twin_colour": -0.1},
        {"twin_hue": 0.6},
        {"temperature": 0.0},
        {"betas": (0.5, 1.0)},
        {"coarse": "deep"},
        {"coarse_only": True},
        {"reference_rank": -1},
    ):
        with pytest.raises(ValueError, match=next(iter(setting))):
            replace(paper(), **setting)
    with pytest.raises(ValueError, match="reference_rank trains updates of both stages. Leave coarse_only out"):
        replace(paper(), reference_rank=2, coarse_only=True, weights=LossWeights(contrastive=0))
    with pytest.raises(ValueError, match="weights.style must be 0 or more; got -1"):
        Config(weights=LossWeights(style=-1.0))
    with pytest.raises(ValueError, match="weights are all 0"):
        Config(weights=LossWeights(*[0.0] * 8))
    only = LossWeights(0.1, *[0.0] * 7)
    assert Config(weights=only).weights.adversarial == 0.1
    with pytest.raises(ValueError, match="nothing to learn there. Set warmup_steps to 0; got 5"):
        Config(weights=only, warmup_steps=5)
    with pytest.raises(ValueError, match="nothing to train"):
        Config(epochs_constant=0, epochs_decay=0)


@pytest.mark.parametrize(
    "content",
    ["", "not JSON", "[]", "\xff", {"weights": {"styl": 1.0}}, {"weights": 3}, {"batch_size": "4"}]
    + [{"betas": 0.5}, {"betas": [0.5, None]}, {"channels_last": 1}, {"batch_size": 4.0}, {"seed": True}],
    ids=repr,
)
def test_a_broken_config_file_is_named(content: str | dict, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    text = content if isinstance(content, str) else json.dumps(paper().to_dict() | content)
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match="config.json: not a configuration: ") as raised:
        read_config(path)
    assert "\n" not in str(raised.value)


def test_a_run_from_before_a_setting_existed_has_its_default(tmp_path: Path) -> None:
    earlier = small().to_dict()
    for name in ("precision", "accumulation", "clip_norm", "best_by", "keep_checkpoints", "discriminator_every"):
        del earlier[name]
    (tmp_path / "config.json").write_text(json.dumps(earlier))
    assert read_config(tmp_path / "config.json") == small()
