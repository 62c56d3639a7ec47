"""Damaged files of every kind that is read: each is read as it is, or refused with a TenfoldError.

The damage is drawn from the seed, the kind's name and the trial's number alone, so that each trial can be
repeated. Reading has a limit of processor time and of memory; what kills its process is a failure, too.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import traceback
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from hardening.damage import damage
from hardening.kinds import KINDS, QUICK, Kind, make_samples
from hardening.tally import Options, Tally
from tenfold.errors import TenfoldError
from tenfold.helpers import count_cores

__all__ = ["attack_files"]

_SECONDS = 10  # of the processor's time that one reading may take
_STUCK = 300  # seconds after which a reading that does not even use the processor is ended
_MEMORY = 2**30  # bytes that a process may take beyond what it has


class _TooLong(BaseException):
    pass


def attack_files(options: Options) -> list[Tally]:
    """A row for each group of kinds."""
    known = {kind.name: kind for kind in KINDS}
    names = [kind.name for kind in (QUICK if options.quick else KINDS)]
    kinds = [known[name] for name in options.chosen(names, 0)]
    tallies = {kind.group: Tally(kind.group) for kind in kinds}
    with tempfile.TemporaryDirectory(prefix="hardening-") as folder:
        make_samples(Path(folder) / "samples", kinds)
        number = options.chosen([""], 1)[0]
        if number:
            _repeat(kinds[0], int(number), options.seed, Path(folder))
        else:
            _run_all(kinds, tallies, options, Path(folder))
    return list(tallies.values())


def _run_all(kinds: Sequence[Kind], tallies: dict[str, Tally], options: Options, folder: Path) -> None:
    """Each kind in a process of its own, as many at a time as there are cores; one that dies is followed by
    another, which goes on behind the file that killed it."""
    waiting = deque((kind, 0) for kind in kinds)
    running: dict[int, tuple[Kind, int]] = {}
    while waiting or running:
        while waiting and len(running) < count_cores():
            kind, first = waiting.popleft()
            sys.stdout.flush()
            child = os.fork()
            if child == 0:
                _be_reader(kind, range(first, min(kind.count, options.most)), options.seed, folder)
            running[child] = kind, first
        child, status = os.wait()
        kind, first = running.pop(child)
        done = first + _collect(kind, tallies[kind.group], folder)
        if status:
            found = f"the process ended with {os.waitstatus_to_exitcode(status)}"
            tallies[kind.group].count("mutate", f"{kind.name}:{done}", found)
            waiting.appendleft((kind, done + 1))


def _collect(kind: Kind, tally: Tally, folder: Path) -> int:
    """Counts the trials that a process has noted; how many these are."""
    notes = folder / f"{kind.name}.notes"
    lines = [json.loads(line) for line in notes.read_text().splitlines()] if notes.exists() else []
    for number, found, seconds in lines:
        tally.count("mutate", f"{kind.name}:{number}", found)
        tally.seconds += seconds
    notes.unlink(missing_ok=True)
    return len(lines)


def _be_reader(kind: Kind, numbers: range, seed: int, folder: Path) -> None:
    """Never returns: notes [number, what went wrong or "", seconds] of each trial."""
    code = 1
    try:
        place = _own_copy(kind, folder)
        _set_limits()
        with (folder / f"{kind.name}.notes").open("w", buffering=1) as notes:
            for number in numbers:
                before = sum(os.times()[:2])
                found = _try(kind, place, number, seed)
                notes.write(json.dumps([number, found, round(sum(os.times()[:2]) - before, 4)]) + "\n")
        code = 0
    finally:
        os._exit(code)


def _own_copy(kind: Kind, folder: Path) -> Path:
    place = folder / f"{kind.name}.place"
    shutil.rmtree(place, ignore_errors=True)
    os.environ["XDG_CACHE_HOME"] = str(folder / f"{kind.name}.cache")
    for number in (1, 2):  # libraries in C print there
        os.dup2(os.open(os.devnull, os.O_WRONLY), number)
    return shutil.copytree(folder / "samples" / kind.name, place)


def _set_limits() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    if pages:
        most = pages * resource.getpagesize() + _MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    signal.signal(signal.SIGPROF, _stop)


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise _TooLong


def _damaged(kind: Kind, data: bytes, number: int, seed: int) -> bytes:
    return damage(data, random.Random(f"{seed} {kind.name} {number}"), kind.container)


def _try(kind: Kind, place: Path, number: int, seed: int) -> str:
    """What went wrong, or ""."""
    file = place / kind.file
    original = file.read_bytes()
    file.write_bytes(_damaged(kind, original, number, seed))
    signal.alarm(_STUCK)
    signal.setitimer(signal.ITIMER_PROF, _SECONDS)
    try:
        kind.read(place)
    except TenfoldError as error:
        return "" if str(error) else "an error without a message"
    except _TooLong:
        return f"takes more than {_SECONDS} s: {_where(2)}"
    except BaseException as error:
        return f"{type(error).__name__}: {error} ({_where(1)})"[:400]
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        file.write_bytes(original)
    return ""


def _where(back: int) -> str:
    """The innermost place in tenfold of the error that is handled."""
    frames = traceback.extract_tb(sys.exc_info()[2])
    ours = [f"{Path(f.filename).name} {f.name}" for f in frames if "/tenfold/" in f.filename]
    return " < ".join(reversed(ours[-back:]))


def _repeat(kind: Kind, number: int, seed: int, folder: Path) -> None:
    """One trial in this process, with its traceback; the file is kept."""
    place = folder / "samples" / kind.name
    data = _damaged(kind, (place / kind.file).read_bytes(), number, seed)
    kept = Path(tempfile.gettempdir()) / f"{kind.name}-{number}-{Path(kind.file).name}"
    kept.write_bytes(data)
    print(f"{len(data):,} bytes, kept in {kept}: {data[:60]!r}")
    (place / kind.file).write_bytes(data)
    try:
        kind.read(place)
        print("is read")
    except TenfoldError as error:
        print(f"is refused: {error}")
