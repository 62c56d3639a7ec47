"""Searches that share a database: URLs, drivers, passwords, trials of processes that ended."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from searched import run_search, searched

from tenfold.arrays import ImageDataset
from tenfold.errors import ModelError, RecipeError, UsageError
from tenfold.helpers import ProcessName
from tenfold.training import search_storage
from tenfold.training.search_space import Bench
from tenfold.training.search_storage import Place

SECRET = "s3cret-word"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis://:s3cret-word@host/1", ["redis://... is not a storage", "postgresql://"]),
        ("postgres://me:s3cret-word@host/db", ["postgres://... is not a storage", "postgresql://"]),
        ("oracle+cx_oracle://me:s3cret-word@host/db", ["is not a storage"]),
        ("mysql://me:s3cret-word@host:port/db", ["mysql://... is not a URL"]),
        (
            "postgresql+nothing://me:s3cret-word@host/db",
            ["needs the package nothing", "pip install 'nothing'"],
        ),
        ("mysql://me:s3cret-word@host/db", ["needs the package pymysql", "pip install 'pymysql'"]),
    ],
)
def test_other_urls_are_refused_in_one_line(
    url: str, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    there = search_storage.find_spec
    hidden = ("MySQLdb", "pymysql", "nothing")
    monkeypatch.setattr(search_storage, "find_spec", lambda name: None if name in hidden else there(name))
    with pytest.raises(UsageError) as raised:
        Place(url)
    told = str(raised.value)
    assert all(word in told for word in words) and "\n" not in told and SECRET not in told


def test_no_message_names_the_password() -> None:
    pytest.importorskip("psycopg")
    place = Place(f"postgresql+psycopg://me:{SECRET}@127.0.0.1:9/db?password={SECRET}")
    assert place.shown == "postgresql+psycopg://127.0.0.1:9/db"
    with pytest.raises(Exception) as raised:  # of SQLAlchemy
        place.open()
    assert SECRET not in place.hide(str(raised.value) + SECRET)


def test_a_database_that_does_not_answer(blobs: ImageDataset, tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database" * 100)
    with pytest.raises(ModelError, match=r"text\.db cannot be read") as raised:
        run_search(blobs, trials=1, journal=f"sqlite:///{tmp_path}/text.db")
    assert "\n" not in str(raised.value)


def test_the_same_trials_as_in_a_journal(blobs: ImageDataset, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    whole = run_search(blobs, trials=7)
    run_search(blobs, trials=3, journal=url)
    again = run_search(blobs, trials=7, journal=url)
    told = [(trial.status, dict(trial.values), trial.loss) for trial in again.trials]
    assert told == [(trial.status, dict(trial.values), trial.loss) for trial in whole.trials]
    with pytest.raises(RecipeError, match="another recipe"):
        run_search(blobs, searched(epochs=3), trials=7, journal=url)


class Killed(BaseException):
    pass


@pytest.mark.parametrize("host", [socket.gethostname(), "another-machine"])
def test_a_stale_trial_is_failed_and_retried(
    blobs: ImageDataset, tmp_path: Path, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of this machine at once, one of another when it has shown no sign of life for a while."""
    url = f"sqlite:///{tmp_path}/study.db"
    run = Bench.run

    def killed(bench: Bench, *rest: Any) -> Any:
        begun.append(1)
        if len(begun) == 3:
            raise Killed
        return run(bench, *rest)

    begun: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(Bench, "run", killed)
        patch.setattr(ProcessName, "own", lambda: ProcessName(f"{host} 999999999 1"))
        with pytest.raises(Killed):
            run_search(blobs, trials=6, journal=url)
    if host == "another-machine":
        monkeypatch.setattr(search_storage, "HEARTBEAT", 1)
        monkeypatch.setattr(search_storage, "GRACE", 1)
        time.sleep(2.5)
    result = run_search(blobs, trials=6, journal=url)
    assert [trial.status for trial in result.trials].count("interrupted") == 1
    assert result.trials[2].status == "interrupted"
    assert dict(result.trials[3].values) == dict(result.trials[2].values)
    assert result.count("complete") + result.count("pruned") == 6 and result.count("running") == 0


# Two command lines, one of which is killed.


def user_of_the_server() -> int | None:
    """PostgreSQL refuses to run as root."""
    return pwd.getpwnam("nobody").pw_uid if os.getuid() == 0 else None


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a database on a server of our own, in a temporary folder."""
    pytest.importorskip("psycopg", reason="the package psycopg is not installed")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or [Path(shutil.which("initdb") or "")]
    if not found[-1].is_file():
        pytest.skip("PostgreSQL is not installed (Debian's package postgresql)")
    programs, user = found[-1].parent, user_of_the_server()
    folder = Path(
        subprocess.check_output(["mktemp", "-d"], text=True).strip()
    )  # nobody may not enter pytest's
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    if user is not None:
        os.chown(folder, user, -1)
    (folder / "password").write_text(SECRET)
    how: dict[str, Any] = {"user": user, "cwd": folder, "stdout": subprocess.DEVNULL, "env": {"LC_ALL": "C"}}
    try:
        subprocess.run(
            [programs / "initdb", "-D", folder / "data", "-U", "me", "-A", "scram-sha-256", "-E",
             "UTF8", "--pwfile", folder / "password", "--no-sync"], check=True, **how,
        )  # fmt: skip
        server = subprocess.Popen(
            [programs / "postgres", "-D", folder / "data", "-p", str(port), "-h", "127.0.0.1", "-k", folder,
             "-F"], stderr=subprocess.DEVNULL, **how,
        )  # fmt: skip
        try:
            ready = [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
            for _ in range(200):
                if subprocess.run(ready, check=False).returncode == 0:
                    break
                time.sleep(0.05)
            yield f"postgresql://me:{SECRET}@127.0.0.1:{port}/postgres"
        finally:
            server.send_signal(signal.SIGINT)  # fast shutdown
            server.wait(30)
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_two_searchers_share_a_database_and_one_is_killed(
    blobs: ImageDataset, tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    """None twice, none lost, nothing running at the end; the password is nowhere."""
    most = 8 if kind == "sqlite" else 40  # SQLite waits for the disk
    url = f"sqlite:///{tmp_path}/study.db" if kind == "sqlite" else request.getfixturevalue("postgres")
    np.savez(tmp_path / "data.npz", images=blobs.images, labels=blobs.labels)
    (tmp_path / "small.toml").write_text(
        searched({"optimiser.learning_rate": {"low": 1e-4, "high": 1.0}}, epochs=2).to_toml()
    )
    command = [
        sys.executable, "-m", "tenfold", "search", "small.toml", "--data", "data.npz", "--trials", str(most),
        "--engine", "numpy", "--metric", "loss", "--storage", url, "--json",
    ]  # fmt: skip
    one, two = (
        subprocess.Popen(
            [*command, "--out", name], cwd=tmp_path, env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for name in ("one", "two")
    )  # fmt: skip
    assert one.stderr is not None
    told = [one.stderr.readline() for _ in range(3)]  # so many trials of its own
    one.kill()
    rest, told_rest = one.communicate()
    out, err = two.communicate(timeout=120)
    assert two.returncode == 0, err
    trials = json.loads(out)["trials"]
    over = [trial for trial in trials if trial["status"] not in ("interrupted", "running")]
    assert most <= len(over) <= most + 1 and [trial["number"] for trial in trials] == list(range(len(trials)))
    lines = [*told, *told_rest.splitlines(), *err.splitlines()]
    numbers = [int(line.split()[1]) for line in lines if line.startswith("trial")]
    assert len(set(numbers)) == len(numbers) and set(numbers) <= {trial["number"] for trial in over}
    assert len(numbers) >= len(over) - 1  # none twice; the killed one may have been about to tell of one
    cut = [trial["values"] for trial in trials if trial not in over and trial["values"]]
    assert len(cut) <= 1 and all(values in [trial["values"] for trial in over] for values in cut)
    assert not [trial for trial in trials if trial["status"] == "running"]
    assert SECRET not in out + err + rest + told_rest + "".join(told)
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path
