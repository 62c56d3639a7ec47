"""`python -m hardening [kill|faults|mutate|requests ...]`: runs the attacks and prints a table."""

from __future__ import annotations

import argparse
import importlib
import re
import sys
from pathlib import Path

from hardening.tally import Options, Tally, show_failures, table

_PAGE = Path(__file__).parents[1] / "docs" / "hardening.md"
_QUICK = 2  # trials of each kind
_ATTACKS = {
    "kill": ("crash", "attack_with_kills"),
    "faults": ("crash", "attack_with_faults"),
    "mutate": ("mutate", "attack_with_files"),
    "requests": ("hostile", "attack_with_requests"),
}


def main() -> int:
    options = argparse.ArgumentParser(prog="hardening", description=__doc__)
    options.add_argument("attacks", nargs="*", choices=[*_ATTACKS, []], metavar="|".join(_ATTACKS))
    options.add_argument("--quick", action="store_true", help="a small part, in seconds")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--most", type=int, help="trials of each kind; else all that belong to it")
    options.add_argument("--only", default="", help="one trial, as a failure names it")
    options.add_argument("--readme", action="store_true", help=f"write the table into docs/{_PAGE.name}")
    given = options.parse_args()
    most = given.most or (_QUICK if given.quick else sys.maxsize)
    tallies: list[Tally] = []
    for name in given.attacks or _ATTACKS:
        module, function = _ATTACKS[name]
        attack = getattr(importlib.import_module(f"hardening.{module}"), function)
        tallies += attack(Options(given.quick, given.seed, most, given.only))
    print(show_failures(tallies, given.seed))
    print(f"\n{table(tallies)}")
    if given.readme:
        _write(table(tallies))
    return any(tally.failures for tally in tallies)


def _write(text: str) -> None:
    page = _PAGE.read_text(encoding="utf-8")
    pattern = r"(<!-- hardening -->\n).*?(<!-- /hardening -->)"
    _PAGE.write_text(
        re.sub(pattern, lambda m: f"{m[1]}{text}\n{m[2]}", page, flags=re.DOTALL), encoding="utf-8"
    )


if __name__ == "__main__":
    sys.exit(main())
