"""Commands that are killed, or meet a fault, at each of their file operations.

Afterwards nothing of the user's may be gone or changed, and the same command (or the one that resumes it)
succeeds, with the files of an undisturbed run: byte for byte those that two undisturbed runs have alike. A
fault ends a command with one line and a code above 0, unless it does no harm; then the result is complete.
"""

from __future__ import annotations

import random
import shutil
import signal
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hardening.commands import COMMANDS, QUICK, Attacked, make_base, start
from hardening.operations import Done, run_command
from hardening.tally import Options, Tally

__all__ = ["FAULTS", "attack_commands"]

FAULTS = ("ENOSPC", "EIO", "ENOMEM")
_POINTS = 40  # of each command at which each kind of fault is tried, where it has more
_LITTER = (".lock", ".part")  # what a killed process may leave, hidden

Tree = dict[str, bytes]


@dataclass(frozen=True)
class _Course:
    """A command, the folder before it, what two undisturbed runs leave, and the operations that they do."""

    name: str
    command: Attacked
    base: Path
    before: Tree
    after: Tree
    alike: frozenset[str]
    operations: tuple[str, ...]

    @property
    def place(self) -> Path:
        return self.base.with_name("place")

    def fresh(self) -> Path:
        shutil.rmtree(self.place, ignore_errors=True)
        return shutil.copytree(self.base, self.place)


def attack_commands(options: Options, kinds: Sequence[str]) -> list[Tally]:
    """A row for each kind: "kill", or one of FAULTS."""
    tallies = {kind: Tally(f"{kind} at a file operation") for kind in options.chosen(kinds, 0)}
    names = QUICK if options.quick else tuple(COMMANDS)
    with tempfile.TemporaryDirectory(prefix="hardening-") as folder:
        base = make_base(Path(folder))
        for name in options.chosen(names, 1):
            course = _run_undisturbed(name, base)
            for kind, tally in tallies.items():
                with tally.timed():
                    for at in _points(course, options, kind):
                        found = _judge(course, kind, at)
                        attack = "kill" if kind == "kill" else "faults"
                        trial, place = f"{kind}:{name}:{at}", course.operations[at - 1]
                        tally.count(attack, trial, found and f"{place}: {found}")
    return list(tallies.values())


def _run_undisturbed(name: str, base: Path) -> _Course:
    course = _Course(name, COMMANDS[name], base, _tree(base), {}, frozenset(), ())
    start(course.command, course.fresh())
    first = _tree(course.place)
    operations = start(course.command, course.fresh()).operations
    after = _tree(course.place)
    alike = {path for path in after if after[path] == first.get(path) and not path.endswith(".html")}
    return _Course(name, course.command, base, course.before, after, frozenset(alike), operations)


def _points(course: _Course, options: Options, kind: str) -> list[int]:
    """Which operations are attacked, counted from 1: all, or a sample from the seed."""
    every = range(1, len(course.operations) + 1)
    most = min(options.most, len(every) if kind == "kill" else _POINTS, len(every))
    drawn = random.Random(f"{options.seed} {kind} {course.name}").sample(every, most)
    return [int(at) for at in options.chosen(list(map(str, sorted(drawn))), 2)]


def _judge(course: _Course, kind: str, at: int) -> str:
    """What went wrong, or ""."""
    done = run_command(course.command.words.split(), course.fresh(), action=kind, at=at)
    if kind == "kill" and done.code != -signal.SIGKILL:
        return f"not killed, but exit code {done.code}"
    lost = (kind != "kill" and _bad_end(done)) or _lost(course)
    if lost:
        return lost
    return _goes_on(course) if done.code else _incomplete(course)


def _bad_end(done: Done) -> str:
    """Whether it ended otherwise than well or with one line that says why; notes may stand before it."""
    lines = [line for line in done.err.splitlines() if line.strip()]
    if done.code < 0 or "Traceback" in done.err:
        return f"exit code {done.code}, {lines[-1] if lines else 'silent'}"
    said = [number for number, line in enumerate(lines) if line.startswith("tenfold: ")]
    if done.code and said != [len(lines) - 1]:
        return f"{len(said)} lines say why: {done.err}"
    return ""


def _lost(course: _Course) -> str:
    """What the command never writes to, and yet is gone or changed."""
    now = _tree(course.place)
    kept = [path for path, data in course.before.items() if course.after.get(path) == data]
    changed = [path for path in kept if now.get(path) != course.before[path]]
    return f"the user's {', '.join(changed)} changed" if changed else ""


def _goes_on(course: _Course) -> str:
    if _all_paths(course.place) == _all_paths(course.base) or not _incomplete(course):
        return ""  # as before, or complete
    refusals = []
    for words in filter(None, (course.command.words, course.command.again)):
        done = run_command(words.split(), course.place)
        if not done.code:
            return _incomplete(course)
        refusals.append(done.err.strip()[-300:])
    return f"does not go on: {' / '.join(refusals)}"


def _incomplete(course: _Course) -> str:
    now = _tree(course.place)
    if now.keys() != course.after.keys():
        return f"missing or left over: {', '.join(sorted(now.keys() ^ course.after.keys()))}"
    other = [path for path in sorted(course.alike) if now[path] != course.after[path]]
    return f"another {', '.join(other)} than undisturbed" if other else ""


def _all_paths(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*")}


def _tree(folder: Path) -> Tree:
    """Path -> bytes of all files, but what is hidden."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(_LITTER))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
