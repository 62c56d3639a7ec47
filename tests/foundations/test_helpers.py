"""Questions for several processes: the order of the answers, helpers that end, and who ends them."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from tenfold.helpers import Helper, ProcessName

MODULE = """
    import os, sys, time
    from tenfold.helpers import Helper

    def prepare(start):
        def answer(question):
            print("this is not an answer")
            if question == "end":
                os._exit(3)
            if question == "fail":
                raise ValueError
            if question == "hang":
                time.sleep(600)
            if question == "slow":
                time.sleep(0.2)
            return start, question, os.getpid()
        return answer

    if __name__ == "__main__":
        Helper.serve(prepare)
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "helper_of_a_test.py").write_text(textwrap.dedent(MODULE))
    monkeypatch.syspath_prepend(tmp_path)
    return "helper_of_a_test"


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until_gone(processes: set[int]) -> None:
    until = time.monotonic() + 20
    while any(map(is_running, processes)) and time.monotonic() < until:
        time.sleep(0.02)
    assert not any(map(is_running, processes))


def test_answers_come_in_the_order_of_the_questions(module: str) -> None:
    questions = ["slow", *range(30), b"\x00", "\udcff", {"a": None}]
    answered = list(Helper.ask_many(module, questions, 3, start={"weights": [1.5]}))
    assert [question for question, _ in answered] == questions
    assert [answer[:2] for _, answer in answered] == [({"weights": [1.5]}, each) for each in questions]
    processes = {answer[2] for _, answer in answered}
    assert 1 < len(processes) <= 3 and os.getpid() not in processes
    wait_until_gone(processes)


@pytest.mark.parametrize("last", ["end", "fail"])
def test_what_a_helper_leaves_is_told(module: str, last: str) -> None:
    answered = list(Helper.ask_many(module, [*range(6), last, *range(6)], 2))
    assert len(answered) == 13
    assert answered.pop(6) == (last, Helper.NoAnswer.ENDED), "it is not to be answered here"
    assert all(answer[1] == question for question, answer in answered), "another helper takes its place"


def test_helpers_that_do_not_start_leave_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    assert list(Helper.ask_many("any", [1, 2, 3], 2)) == [
        (each, Helper.NoAnswer.UNASKED) for each in (1, 2, 3)
    ]


def test_what_takes_too_long_is_given_up(module: str) -> None:
    """So is what ends two helpers; the questions after them are answered by others."""
    answered = dict(Helper.ask_many(module, [1, "hang", 2, "end", 3], 1, timeout=2.0))
    assert answered["hang"] is Helper.NoAnswer.LATE and answered["end"] is Helper.NoAnswer.ENDED
    processes = [answered[number][2] for number in (1, 2, 3)]
    assert len(set(processes)) == 3, "each is another one"
    wait_until_gone(set(processes))


def test_helpers_that_do_not_start_leave_everything_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    assert list(Helper.ask_many("any", [1, 2, 3], 1, timeout=5.0)) == [
        (each, Helper.NoAnswer.UNASKED) for each in (1, 2, 3)
    ]


def test_who_wants_no_more_ends_them(module: str) -> None:
    asked: list[int] = []

    def endless() -> Iterator[int]:
        for number in count():
            asked.append(number)
            yield number

    with closing(Helper.ask_many(module, endless(), 2)) as answered:
        processes = {next(answered)[1][2] for _ in range(5)}
    assert len(asked) < 20, "only so many questions wait"
    wait_until_gone(processes)


def test_a_parent_that_is_killed_leaves_none(module: str, tmp_path: Path) -> None:
    code = f"""
        import os, signal
        from tenfold.helpers import Helper
        for number, (_, answer) in enumerate(Helper.ask_many({module!r}, range(1000), 2)):
            print(answer[2], flush=True)
            if number == 9:
                os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    processes = {int(line) for line in done.stdout.split()}
    assert processes
    wait_until_gone(processes)


def test_processes_that_are_gone() -> None:
    """Of this machine only; a number that another process has by now is not the one that was meant."""
    ask = [sys.executable, "-c", "from tenfold.helpers import ProcessName; print(ProcessName.own())"]
    ended = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
    own = ProcessName.own()
    assert not own.is_gone() and ProcessName(ended).is_gone()
    host, number, start = own.rsplit(" ", 2)
    assert ProcessName(f"{host} {number} {int(start) + 1}").is_gone() == bool(start)
    for name in ("", "text", f"elsewhere {number} {start}", f"{host} many {start}"):
        assert not ProcessName(name).is_gone()
