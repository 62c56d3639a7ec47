"""What reading many pictures costs with two workers: plain shards, and the engines of docs/how-to/many.md.

python benchmarks/read_many.py [--count 400] [--json FILE]

The code blocks of the page run as they stand there, in a folder with `pictures.txt`; an engine that is not
installed is left out. Rows are counted, and must be one for each picture.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tenfold.show.terminal import stdout

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "how-to" / "many.md"
_READ = "-m tenfold read --list pictures.txt --workers 1 --out"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = [
        {"way": name, "seconds": run(command, options.count, name)} for name, command in ways().items()
    ]
    first = rows[1]["seconds"]
    cells = [(row["way"], f"{row['seconds']:.1f}", f"{row['seconds'] / first:.2f}") for row in rows]
    stdout.table(("way", "seconds", "against plain shards"), cells, right=("seconds", "against plain shards"))
    if options.json:
        options.json.write_text(json.dumps({"pictures": options.count, "rows": rows}, indent=2) + "\n")


def ways() -> dict[str, list[str]]:
    """name -> command. The first is one process, the second plain shards."""
    python = sys.executable
    found = {
        "one process": ["bash", "-c", f"{python} {_READ} readings"],
        "2 shards": ["bash", "-c", f"for i in 0 1; do {python} {_READ} readings --shard $i/2 & done; wait"],
    }
    if shutil.which("parallel"):
        found["GNU parallel"] = [
            "bash",
            "-c",
            block("parallel -j").replace("tenfold ", f"{python} -m tenfold "),
        ]
    found["xargs"] = ["bash", "-c", f"seq 0 1 | xargs -P 2 -I{{}} {python} {_READ} readings --shard {{}}/2"]
    if find_spec("ray"):
        found["Ray Data"] = [python, "-c", block("import ray")]
    if find_spec("pyspark") and shutil.which("java"):
        found["Spark mapInPandas"] = [python, "-c", block("SparkSession")]
    return found


def block(words: str) -> str:
    """The code block of the page that holds these words."""
    blocks = re.findall(r"```\w+\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return next(each for each in blocks if words in each)


def run(command: list[str], count: int, name: str) -> float:
    """Seconds. Leaves the program where it fails, or rows are missing."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        examples = sorted(path for path in (ROOT / "examples").iterdir() if path.suffix in (".png", ".jpg"))
        names = [folder / f"{number:06}{examples[number % len(examples)].suffix}" for number in range(count)]
        for number, path in enumerate(names):
            shutil.copy(examples[number % len(examples)], path)
        (folder / "pictures.txt").write_text("".join(f"{path}\n" for path in names))
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYSPARK_PYTHON": sys.executable}
        started = time.perf_counter()
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        seconds = time.perf_counter() - started
        if done.returncode or (rows := count_rows(folder)) != count:
            raise SystemExit(f"{name} ended with {done.returncode}, {rows} rows:\n{done.stderr[-3000:]}")
    return seconds


def count_rows(folder: Path) -> int:
    lines = sum(path.read_text().count("\n") for path in folder.glob("readings/shard-*.jsonl"))
    if files := list(folder.glob("*-readings/*.parquet")):
        from pyarrow import parquet

        lines += sum(parquet.read_metadata(path).num_rows for path in files)
    return lines


if __name__ == "__main__":
    main()
