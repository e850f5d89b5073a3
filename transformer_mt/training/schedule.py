"""The learning rate as a pure function of the step."""

import math

from transformer_mt.config.schema import ScheduleConfig


def lr_at(step: int, peak_lr: float, config: ScheduleConfig, total_steps: int | None) -> float:
    """Learning rate of update number `step`, counted from 1.

    It rises linearly to `peak_lr` over the warm-up; then inverse_sqrt falls as 1 / sqrt(step) (Vaswani et
    al. 2017, section 5.3), cosine (Loshchilov and Hutter 2017) and linear fall to `final_lr` at
    `decay_steps` or else `total_steps`, and constant stays.
    """
    if step <= config.warmup_steps:
        return peak_lr * step / config.warmup_steps
    if config.name == "constant":
        return peak_lr
    if config.name == "inverse_sqrt":
        return peak_lr * math.sqrt(max(config.warmup_steps, 1) / step)
    end = config.decay_steps or total_steps
    if end is None:
        raise ValueError(f"{config.name} needs decay_steps or total_steps")
    progress = min(1.0, (step - config.warmup_steps) / max(1, end - config.warmup_steps))
    remaining = 1.0 - progress if config.name == "linear" else 0.5 * (1.0 + math.cos(math.pi * progress))
    return config.final_lr + (peak_lr - config.final_lr) * remaining


def warmup_warning(config: ScheduleConfig, planned: int | None) -> str | None:
    """What is to be said where the learning rate rises for more than half of the `planned` updates, if so many are."""
    if planned is None or 2 * config.warmup_steps <= planned or config.name == "constant":
        return None
    return (
        f"warning: schedule.warmup_steps: the learning rate rises for {config.warmup_steps:,} updates, but {planned:,} "
        f"are all that is planned; set it to about {max(1, planned // 10):,}, or train longer"
    )
