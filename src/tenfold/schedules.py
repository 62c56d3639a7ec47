"""step -> learning rate, as pure functions of the step."""

from __future__ import annotations

import math

from tenfold.settings import ScheduleSettings

__all__ = ["factor_at", "learning_rate_at"]


def learning_rate_at(step: int, total_steps: int, learning_rate: float, schedule: ScheduleSettings) -> float:
    """The learning rate of step 0..total_steps-1."""
    return learning_rate * factor_at(step, total_steps, schedule)


def factor_at(step: int, total_steps: int, schedule: ScheduleSettings) -> float:
    """What the learning rate is multiplied by at a step; 1 at the peak."""
    if schedule.name == "one-cycle":
        return _one_cycle(step, total_steps, schedule)
    warm_steps = round(schedule.warm_up * total_steps)
    if step < warm_steps:
        return (step + 1) / warm_steps
    done = (step - warm_steps) / max(total_steps - warm_steps - 1, 1)
    low = schedule.final_factor
    if schedule.name == "cosine":
        return _cosine(1.0, low, done)
    if schedule.name == "linear":
        return 1.0 + (low - 1.0) * done
    if schedule.name == "step":
        marks = [mark if mark >= 1 else mark * total_steps for mark in schedule.milestones]
        return schedule.gamma ** sum(step >= mark for mark in marks)
    return 1.0


def _one_cycle(step: int, total_steps: int, schedule: ScheduleSettings) -> float:
    """Smith & Topin 2017, in PyTorch's two-phase cosine form (OneCycleLR)."""
    peak = schedule.rise * total_steps - 1
    if step <= peak:
        return _cosine(schedule.start_factor, 1.0, step / peak if peak > 0 else 1.0)
    done = (step - peak) / max(total_steps - 1 - peak, 1e-9)
    return _cosine(1.0, schedule.final_factor, done)


def _cosine(start: float, end: float, done: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(max(done, 0.0), 1.0))) / 2
