"""`python -m hardening [kill|faults|mutate|requests ...]`: runs the attacks and prints a table."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from hardening.tally import Options, Tally, show_failures, table

_PAGE = Path(__file__).parents[1] / "docs" / "hardening.md"
_QUICK = 2  # trials of each kind
_ATTACKS = ("kill", "faults", "mutate", "requests")


def main() -> int:
    words = argparse.ArgumentParser(prog="python -m hardening", description=__doc__)
    words.add_argument("attacks", nargs="*", metavar="|".join(_ATTACKS))
    words.add_argument("--quick", action="store_true", help="a small part, in seconds")
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--most", type=int, help="trials of each kind; else all that belong to it")
    words.add_argument("--only", default="", help="one trial or one kind, as a failure names it")
    words.add_argument("--readme", action="store_true", help=f"write the table into docs/{_PAGE.name}")
    given, asked = (
        words.parse_args(),
        " ".join([words.prog, *sys.argv[1:]]),
    )  # commands are attacked in here, too
    if not {*given.attacks} <= {*_ATTACKS}:
        words.error(f"the attacks are {', '.join(_ATTACKS)}")
    most = given.most or (_QUICK if given.quick else sys.maxsize)
    tallies = _attack(given.attacks or _ATTACKS, Options(given.quick, given.seed, most, given.only))
    print(show_failures(tallies, given.seed))
    print(f"\n{table(tallies)}")
    if given.readme:
        _write(f"Printed by `{asked}`:\n\n{table(tallies)}")
    return int(any(tally.failures for tally in tallies))


def _attack(names: Sequence[str], options: Options) -> list[Tally]:
    tallies: list[Tally] = []
    if "kill" in names or "faults" in names:
        from hardening.crash import FAULTS, attack_commands

        kinds = ("kill",) * ("kill" in names) + FAULTS * ("faults" in names)
        tallies += attack_commands(options, kinds)
    if "mutate" in names:
        from hardening.mutate import attack_files

        tallies += attack_files(options)
    if "requests" in names:
        from hardening.hostile import attack_server

        tallies += attack_server(options)
    return tallies


def _write(text: str) -> None:
    page = _PAGE.read_text(encoding="utf-8")
    pattern = r"(<!-- hardening -->\n).*?(<!-- /hardening -->)"
    _PAGE.write_text(
        re.sub(pattern, lambda m: f"{m[1]}{text}\n{m[2]}", page, flags=re.DOTALL), encoding="utf-8"
    )


if __name__ == "__main__":
    sys.exit(main())
