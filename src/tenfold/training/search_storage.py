"""Where trials of a search are kept: memory, a journal file, or a database that machines share."""

from __future__ import annotations

import copy
import os
import time
import warnings
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from tenfold.errors import UsageError
from tenfold.helpers import ProcessName

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["Place"]

PROCESS = "process"  # the attribute of a trial that names who runs it
HEARTBEAT, GRACE = (
    60,
    120,
)  # seconds between signs of life; after so many without, a trial is given to another
_RETRIES = 10  # of a trial whose process ended: it may be the trial that ends it
_FIRST = b'{"op_code":'  # with it a journal begins
# of SQLAlchemy's name: drivers, the first of which is installed is taken, as module and as its package
_DRIVERS = {
    "postgresql": {"psycopg2": "psycopg2-binary", "psycopg": "psycopg[binary]"},
    "mysql": {"MySQLdb": "mysqlclient", "pymysql": "pymysql"},
    "sqlite": {"sqlite3": ""},
}
_EXPECTED = "a file, postgresql://..., mysql://... or sqlite:///FILE"


class Place:
    """shown: for messages; without the user, the password and the options of a database's URL."""

    def __init__(self, storage: str | Path | None) -> None:
        """storage: a journal's path, or a URL. Raises UsageError for a URL of something else, and where its
        driver is not installed."""
        self.url = _parse(storage) if isinstance(storage, str) and "://" in storage else None
        self.path = Path(storage) if storage is not None and self.url is None else None
        self.shown = str(self.path)
        if self.url is not None:
            place = (
                f"//{self.url.host}" + (f":{self.url.port}" if self.url.port else "")
                if self.url.host
                else "//"
            )
            self.shown = f"{self.url.drivername}:{place}/{self.url.database or ''}"

    def open(self) -> BaseStorage:
        """Raises whatever Optuna and SQLAlchemy raise."""
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # Optuna calls heartbeats, and early versions journals, experimental
            if self.url is not None:
                return self._open_database(self.url)
            return InMemoryStorage() if self.path is None else _open_journal(self.path)

    def _open_database(self, url: URL) -> BaseStorage:
        from sqlalchemy.exc import DBAPIError

        lite = url.get_backend_name() == "sqlite"
        new = hasattr(optuna.storages, "RetryHeartbeatStaleTrialCallback")  # since Optuna 4.9
        callback: dict[str, Any] = {
            "heartbeat_stale_trial_callback" if new else "failed_trial_callback": _retry
        }
        how: dict[str, Any] = {"connect_args": {"timeout": 60}} if lite else {"pool_pre_ping": True}
        for attempt in range(3):
            try:
                return RDBStorage(
                    url.render_as_string(hide_password=False),
                    engine_kwargs=how, heartbeat_interval=HEARTBEAT, grace_period=GRACE, **callback,
                )  # fmt: skip
            except DBAPIError:  # of two that make the tables at once, one fails
                if attempt == 2:
                    raise
                time.sleep(1)
        raise AssertionError("not reached")

    def hide(self, text: str) -> str:
        """The text of an error, without the password."""
        secrets = [] if self.url is None else [self.url.password, *self.url.query.values()]
        for secret in filter(None, map(str, filter(None, secrets))):
            text = text.replace(secret, "***")
        return text


def _parse(text: str) -> URL:
    name = text.partition("://")[0]
    backend, _, driver = name.partition("+")
    if backend not in _DRIVERS:
        raise UsageError(f"--storage {name}://... is not a storage", expected=_EXPECTED)
    if find_spec("sqlalchemy") is None:
        raise UsageError(f"{name}://... needs SQLAlchemy", remedy="pip install 'tenfold[search]'")
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise UsageError(f"--storage {name}://... is not a URL", expected=_EXPECTED) from error
    known = _DRIVERS[backend]
    there = [each for each in ([driver] if driver else known) if find_spec(each.lower() if driver else each)]
    if not there and not (driver and backend == "sqlite"):
        package = known.get(driver, driver) if driver else list(known.values())[-1]
        found = f"{name}://... needs the package {package}, which is not installed"
        raise UsageError(found, remedy=f"pip install '{package}'")
    return url if driver or backend == "sqlite" else url.set(drivername=f"{backend}+{there[0].lower()}")


def _open_journal(journal: Path) -> BaseStorage:
    journal.parent.mkdir(parents=True, exist_ok=True)
    if journal.is_file():
        with journal.open("rb") as file:
            start = file.read(len(_FIRST))  # of an empty file, or one with a torn first line, less
        if start != _FIRST[: len(start)]:
            raise ValueError("it begins otherwise")
    lock = _JournalLock(journal) if fcntl is not None else None
    return JournalStorage(JournalFileBackend(str(journal), lock_obj=lock))


class _JournalLock(JournalFileOpenLock):
    """A lock on the journal that ends with its process; Optuna's own outlive one that is killed.

    Whoever holds it first removes the torn line of a process that was killed while it wrote: with what is
    written behind it, it would make the journal unreadable.
    """

    def __init__(self, journal: Path) -> None:
        super().__init__(str(journal))
        self._journal, self._number = journal, -1

    def acquire(self) -> bool:
        self._number = os.open(self._journal, os.O_RDWR)
        fcntl.flock(self._number, fcntl.LOCK_EX)
        size = os.fstat(self._number).st_size
        if size and os.pread(self._number, 1, size - 1) != b"\n":
            os.truncate(self._number, os.pread(self._number, size, 0).rfind(b"\n") + 1)
        return True

    def release(self) -> None:
        os.close(self._number)


def _retry(study: Study, trial: FrozenTrial) -> None:
    """The same values under a new number, named from its first moment on after this process, which lives."""
    kind = getattr(optuna.storages, "RetryHeartbeatStaleTrialCallback", None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        retry = (kind or optuna.storages.RetryFailedTrialCallback)(max_retry=_RETRIES)
        trial = copy.deepcopy(trial)
        trial.user_attrs[PROCESS] = ProcessName.own()
        retry(study, trial)


def is_gone(trial: FrozenTrial) -> bool:
    """Whether the process of this machine that runs the trial has ended."""
    return ProcessName(trial.user_attrs.get(PROCESS, "")).is_gone()


def retry_stale(study: Study, gone: list[FrozenTrial]) -> None:
    """In a database: fails, and adds again, the trials of processes that are gone, and those of others that
    show no sign of life. Each is failed by one process only."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        optuna.storages.fail_stale_trials(study)
    for trial in gone:
        with suppress(optuna.exceptions.UpdateFinishedTrialError):
            if study._storage.set_trial_state_values(trial._trial_id, state=TrialState.FAIL):
                _retry(study, trial)
