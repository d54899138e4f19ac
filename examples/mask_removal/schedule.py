"""How long a run is, and how fast it learns at each step."""

import math

from examples.mask_removal.config import Config


def schedule_steps(config: Config, steps_per_epoch: int) -> tuple[float, float]:
    """Steps at the full learning rate, and of linear decay to 0: given in steps, or else in epochs."""
    if config.steps_constant or config.steps_decay:
        return config.steps_constant, config.steps_decay
    return steps_per_epoch * config.epochs_constant, steps_per_epoch * config.epochs_decay


def total_steps(config: Config, steps_per_epoch: int) -> int:
    """Steps of the whole run."""
    return math.ceil(sum(schedule_steps(config, steps_per_epoch)))


def learning_rate_factor(step: int, steps_per_epoch: int, config: Config) -> float:
    """1 for the constant part, then linear to 0 at the end of the run."""
    constant, decay = schedule_steps(config, steps_per_epoch)
    past = step - constant
    return 1.0 if past < 0 else max(0.0, 1.0 - past / decay) if decay else 0.0
