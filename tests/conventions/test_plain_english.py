"""Phrases that the project's texts do not use, each with the plain term to write in its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENDINGS = {".css", ".html", ".j2", ".js", ".md", ".py", ".toml", ".yml"}
FOLDERS = ("src", "tests", "docs", "benchmarks", "scripts", "notebooks", "hardening", "examples")
FILES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "Makefile", "mkdocs.yml", "pyproject.toml")

COUNTED = "one|once|images?|labels?|lines?|steps|seconds|requests|answers|pixels|bytes|rows|points|scores?"
UNIT = "second|epoch|image|class|step|line|row|parameter|page|recipe|run|fold|pixel|character|core"
THINGS = "number|picture|digit|page|pixel|table|rule|run's|answer|square|npz|json|base64|object|list|byte"

# pattern of whole words in lower case, an underscore separates words too
# -> (a text that every match contains, what to write)
RULES: dict[str, tuple[str, str]] = {
    r"mend|mends|mended|mending": ("mend", "fix, fixed, fixes"),
    r"decides everything that is random": ("decides", "random seed"),
    r"training makes small": ("makes", "loss function"),
    rf"(?<!there )(?:is|are|was|were) no (?:{THINGS})\w*": (" no ", "is not a ..."),
    r"any more": ("any more", "no longer"),
    r"by heart": ("by heart", "memorised, overfit"),
    r"move[sd]? (?:a|the|one) verdict": ("verdict", "explanation of a prediction"),
    rf"(?:{COUNTED}) an? (?:{UNIT})": (" a", "per"),
    r"parted|parts (?:it|them) into": ("part", "segmented, segments it into"),
    r"lets? go of (?:python's|the) lock": ("lock", "releases the GIL"),
    r"gives? on(?! average)|gives? again|given again": ("give", "returns, reproduces"),
    r"slopes? of (?:a|the|its) loss|loss's slopes?|slope along the gradient": (
        "slope",
        "gradient, derivative",
    ),
    r"patients?": ("patient", "recipe under test"),
    r"witness(?:es|ed)?": ("witness", "reference"),
    r"admit|admits|admitted": ("admit", "accept"),
    r"restraints?": ("restraint", "limits"),
    r"gates?": ("gate", "limiter, middleware"),
    r"houses?": ("house", "package"),
    r"rooms?": ("room", "module, package; margin; space"),
    r"floors|(?:lower|upper|higher) floor|floor \d": ("floor", "layer"),
    r"more is asked than can be answered": ("asked", "server overloaded"),
    r"\| asked \|": ("asked", "target"),
    r"who only trains": ("trains", "only needed for ...; imported lazily"),
    r"thanks for": ("thanks", "improves with"),
    r"laid onto": ("laid", "aligned with"),
}
# the same in the case as written
CASED = {
    r"[Ss]eeds?[ _-][A-E]\d?": ("eed", "the tutorial's subject: sigmoid loss, ..."),
    r"[Dd]ocuments? \"?[A-E]": ("ocument", "the tutorial's subject: sigmoid loss, ..."),
    r"seed[_-][a-e]": ("seed", "the tutorial's subject: sigmoid_loss, ..."),
}

# file -> phrases that mean there what they say, or repeat a table that benchmarks/results holds
ALLOWED = {
    "benchmarks/form_layouts.py": {"house", "rooms"},
    "docs/how-to/teach.md": {"room"},
}


def compile_rules(rules: dict[str, tuple[str, str]]) -> dict[re.Pattern[str], tuple[str, str]]:
    return {re.compile(rf"(?<![A-Za-z0-9])(?:{key})(?![A-Za-z0-9])"): rule for key, rule in rules.items()}


LOWERED_RULES, CASED_RULES = compile_rules(RULES), compile_rules(CASED)


def find_phrases(text: str) -> Iterator[tuple[int, str, str]]:
    """(line, phrase, what to write) of each phrase in a text, also of one over the end of a line."""
    lines = re.sub(r"\n[ \t]*(?:[#*] )?", "\n", text)
    cased = lines.replace("\n", " ")
    for searched, rules in ((cased.lower(), LOWERED_RULES), (cased, CASED_RULES)):
        for pattern, (always, plain) in rules.items():
            if always in searched:
                for match in pattern.finditer(searched):
                    yield lines.count("\n", 0, match.start()) + 1, match.group().lower(), plain


def texts() -> Iterator[Path]:
    for folder in FOLDERS:
        yield from (path for path in sorted((ROOT / folder).rglob("*")) if path.suffix in ENDINGS)
    yield from (ROOT / name for name in FILES)


def test_texts_are_plain() -> None:
    found = []
    for path in texts():
        name = path.relative_to(ROOT).as_posix()
        allowed = ALLOWED.get(name, set())
        if path != Path(__file__).resolve():
            found += [
                f"{name}:{line}: {phrase!r}; write: {plain}"
                for line, phrase, plain in find_phrases(path.read_text(encoding="utf-8"))
                if phrase not in allowed
            ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "text",
    [
        "what mends it",
        "test_the_mended_recipe",
        "Seed A2",
        "seed_d",
        'document "B"',
        "it is no\n    # number",
        "a file is no picture",
        "one label an image",
        "learned by\nheart",
        "class Patient",
        "check_room",
        "a lower floor",
        "| n | asked | reached |",
        "photos are laid onto it",
    ],
)
def test_a_phrase_is_found(text: str) -> None:
    assert len(list(find_phrases(text))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "recommended",
        "there is no picture",
        "seed 3",
        "np.floor(x)",
        "probability_floor",
        "patience",
        "delegate",
        "aggregate",
        "a bedroom",
        "one of a class",
        "slopes of the lines",
        "it takes a second",
    ],
)
def test_other_texts_are_left_alone(text: str) -> None:
    assert not list(find_phrases(text))
