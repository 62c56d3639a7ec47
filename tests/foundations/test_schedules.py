"""Schedules against torch.optim.lr_scheduler, and what must hold of each."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.settings import ScheduleSettings

NAMES = ("constant", "cosine", "linear", "step", "one-cycle")


def torch_rates(make: Any, steps: int, learning_rate: float = 0.3) -> list[float]:
    """The learning rate in each of `steps` steps of a PyTorch scheduler."""
    torch = pytest.importorskip("torch")
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=learning_rate)
    scheduler = make(torch.optim.lr_scheduler, optimiser)
    rates = []
    for step in range(steps):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        if step < steps - 1:
            scheduler.step()
    return rates


def ours(steps: int, **settings: Any) -> list[float]:
    schedule = ScheduleSettings(**settings)
    return [schedule.learning_rate_at(step, steps, 0.3) for step in range(steps)]


@pytest.mark.parametrize("steps", [2, 7, 40])
@pytest.mark.parametrize("final", [0.0, 0.1])
def test_cosine_and_linear(steps: int, final: float) -> None:
    cosine = torch_rates(lambda s, o: s.CosineAnnealingLR(o, steps - 1, eta_min=0.3 * final), steps)
    assert ours(steps, name="cosine", final_factor=final) == pytest.approx(cosine, abs=1e-9)
    linear = torch_rates(
        lambda s, o: s.LinearLR(o, start_factor=1.0, end_factor=final, total_iters=steps - 1), steps
    )
    assert ours(steps, name="linear", final_factor=final) == pytest.approx(linear, abs=1e-9)


@pytest.mark.parametrize("steps", [5, 17, 100])
@pytest.mark.parametrize("rise", [0.25, 0.3, 0.5])
def test_one_cycle(steps: int, rise: float) -> None:
    expected = torch_rates(
        lambda s, o: s.OneCycleLR(
            o,
            0.3,
            total_steps=steps,
            pct_start=rise,
            div_factor=25,
            final_div_factor=40,
            anneal_strategy="cos",
        ),
        steps,
    )
    found = ours(steps, name="one-cycle", rise=rise, start_factor=1 / 25, final_factor=1 / 1000)
    assert found == pytest.approx(expected, rel=1e-9)


def test_step() -> None:
    expected = torch_rates(lambda s, o: s.MultiStepLR(o, [10, 25], gamma=0.5), 40)
    assert ours(40, name="step", milestones=(10, 25), gamma=0.5) == pytest.approx(expected)
    assert ours(40, name="step", milestones=(0.25, 0.625), gamma=0.5) == pytest.approx(expected)


def test_warm_up_grows_in_equal_steps_to_the_peak() -> None:
    rates = ours(40, name="cosine", warm_up=0.25)
    assert rates[:10] == pytest.approx([0.03 * step for step in range(1, 11)])
    assert rates[10] == pytest.approx(0.3) and rates[-1] == pytest.approx(0)


@given(
    name=st.sampled_from(NAMES),
    total=st.integers(1, 300),
    warm_up=st.floats(0, 1),
    final=st.floats(0, 1),
    rise=st.floats(0.01, 0.99),
    start=st.floats(0, 1),
    milestones=st.lists(st.floats(0, 400), max_size=3),
)
def test_any_schedule_stays_between_nothing_and_the_peak(
    name: Any, total: int, warm_up: float, final: float, rise: float, start: float, milestones: list[float]
) -> None:
    schedule = ScheduleSettings(
        name=name, warm_up=warm_up, final_factor=final, rise=rise, start_factor=start, milestones=milestones
    )
    factors = [schedule.factor_at(step, total) for step in range(total)]
    assert all(-1e-12 <= factor <= 1 + 1e-12 for factor in factors)
    assert factors == [schedule.factor_at(step, total) for step in range(total)]
    if name in ("cosine", "linear", "step") and round(warm_up * total) == 0:
        assert all(after <= before + 1e-12 for before, after in pairwise(factors))
    if name in ("cosine", "linear", "one-cycle") and total - round(warm_up * total) > 1:
        assert factors[-1] == pytest.approx(final, abs=1e-9)


@pytest.mark.parametrize(("total", "rise"), [(2, 0.5), (10, 0.1), (4, 0.25), (1, 0.3)])
def test_one_cycle_whose_rise_is_a_single_step(total: int, rise: float) -> None:
    """The rise ends where it starts: at the peak, with no division by zero."""
    schedule = ScheduleSettings(name="one-cycle", rise=rise)
    factors = [schedule.factor_at(step, total) for step in range(total)]
    assert factors[0] == (1 if total > 1 else 0)
