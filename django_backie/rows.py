"""What a snapshot says, as rows of the job table and of the attempts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .broker.replies import Record, Snapshot
from .bulk import Row, Values
from .cleansing import STARS
from .compat import DEFAULT_TASK_QUEUE_NAME
from .core import head
from .core.cancellation import as_asked
from .core.job import Job
from .core.states import State
from .exceptions import UnreadableBody, WorkerLost

# Characters.
LONGEST_TASK, LONGEST_QUEUE, LONGEST_REASON, LONGEST_WORKER = 200, 100, 200, 100
LONGEST_CLASS, LONGEST_MESSAGE = 200, 500
MOST_PRIORITY = 100
LOST = f"{WorkerLost.__module__}.{WorkerLost.__qualname__}"

Unpack = Callable[[str, str], Job]
Describe = Callable[[Job], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the bodies of one backend's jobs; what that costs is spent only on what nothing else tells."""

    unpack: Unpack
    describe: Describe
    backend: str

    def database(self, snapshot: Snapshot) -> str:
        """Return the database that a job belongs to, as its body says; it is not verified."""
        _, found, rest = _own_fields(snapshot.body).partition('"d":"')
        return rest.partition('"')[0] if found else "default"

    def run_after(self, snapshot: Snapshot) -> float | None:
        """Return the time before which a job was not to run."""
        return self.job(snapshot).run_after if '"r":' in _own_fields(snapshot.body) else None

    def job(self, snapshot: Snapshot) -> Job:
        """Return the job of a snapshot; of an unreadable body only its place is known."""
        try:
            return self.unpack(snapshot.id, snapshot.body)
        except UnreadableBody:
            queue, priority = _place(snapshot.body)
            created = snapshot.record.first_started or snapshot.version / 1000
            return Job(snapshot.id, "?", queue, priority, created=created, backend=self.backend)


class Rows:
    """Makes the rows of snapshots for one database; of a snapshot's changes once, though it is asked for twice."""

    def __init__(self, alias: str, reader: Reader) -> None:
        self.alias = alias
        self._reader = reader
        self._changes: dict[str, Row] = {}

    @cached_property
    def _values(self) -> Values:
        # Not before it is needed: some databases have to be asked what they can do.
        return Values(self.alias)

    def changes(self, snapshot: Snapshot) -> Row:
        """Return what a snapshot may change of its job's row."""
        if snapshot.id not in self._changes:
            self._changes[snapshot.id] = self._changes_of(snapshot)
        return self._changes[snapshot.id]

    def whole(self, snapshot: Snapshot) -> Row:
        """Return the row of a job that has none yet."""
        return self.changes(snapshot) | self._rest_of(snapshot)

    def attempts(self, snapshot: Snapshot) -> Iterator[Row]:
        """Yield the rows of the attempts of a snapshot."""
        values = self._values
        for note in snapshot.record.attempts:
            yield {
                "job_id": values.id(snapshot.id),
                "number": int(note["n"]),
                "worker": str(note["w"])[:LONGEST_WORKER],
                "outcome": str(note["o"]),
                "started_at": values.exact_time(note["s"]),
                "finished_at": values.time(note["e"]),
                "retry_at": values.time(note.get("r")),
                "error_class": str(note.get("c", ""))[:LONGEST_CLASS],
                "error_message": str(note.get("m", ""))[:LONGEST_MESSAGE],
                "traceback": str(note.get("t", "")),
                "progress": None if (progress := note.get("p")) is None else values.json(progress),
            }

    def _changes_of(self, snapshot: Snapshot) -> Row:
        record, time = snapshot.record, self._values.time
        last: Mapping[str, Any] = record.attempts[-1] if record.attempts else {}
        error = _error_of(last, record)
        due = None if record.is_asked_to_cancel else record.due
        return {
            "id": self._values.id(snapshot.id),
            "state": record.state.value,
            "reason": _reason_of(record)[:LONGEST_REASON],
            "result": str(last.get("v", "")) if record.state is State.SUCCESSFUL else "",
            "error_class": str(error.get("c", ""))[:LONGEST_CLASS],
            "error_message": str(error.get("m", ""))[:LONGEST_MESSAGE],
            "attempt": record.attempt,
            "crashes": record.crashes,
            "worker": record.worker[:LONGEST_WORKER],
            "run_after": time(self._reader.run_after(snapshot) if due is None else due),
            "started_at": time(record.first_started),
            "last_attempted_at": time(record.last_attempted),
            "finished_at": time(record.ended),
            "version": snapshot.version,
        }

    def _rest_of(self, snapshot: Snapshot) -> Row:
        """Return what stands in a row from its first day."""
        job = self._reader.job(snapshot)
        arguments = self._reader.describe(job)
        # As in a row that is there already: see ``upsert``.
        hides_secret = snapshot.record.state is State.SUCCESSFUL and STARS in str(arguments)
        return {
            "task": job.task[:LONGEST_TASK],
            "backend": job.backend,
            "queue": job.queue,
            "priority": job.priority,
            "arguments": self._values.json(arguments),
            "body": "" if hides_secret else snapshot.body.replace("\x00", ""),
            "max_attempts": job.options.max_attempts,
            "enqueued_at": self._values.time(job.created),
            "settled": False,
        }


def size_of(snapshot: Snapshot) -> int:
    """Return about how many characters the rows of a snapshot have."""
    notes = snapshot.record.attempts
    # The arguments, too, come out of the body.
    return 2 * len(snapshot.body) + sum(len(str(note.get("t", ""))) + len(str(note.get("v", ""))) for note in notes)


def _own_fields(body: str) -> str:
    """Return the end of a body, where an envelope says what is not the caller's; that begins with its time, ``c``.

    No text of the caller can look like it: in JSON, a quote inside a text has a backslash before it, and arguments
    stand before the time.
    """
    return body.rpartition('"c":')[2]


def _place(body: str) -> tuple[str, int]:
    """Return where a body says that it belongs, as far as a row can say it; a damaged one belongs nowhere."""
    try:
        queue, priority = head.place(body)
    except (UnreadableBody, ValueError):
        return DEFAULT_TASK_QUEUE_NAME, 0
    return queue.replace("\x00", "")[:LONGEST_QUEUE], max(-MOST_PRIORITY, min(MOST_PRIORITY, priority))


def _reason_of(record: Record) -> str:
    if record.is_asked_to_cancel:
        return as_asked(record.reason)
    return record.reason if record.reason != "recovered" else ""


def _error_of(last: Mapping[str, Any], record: Record) -> Mapping[str, Any]:
    if record.state is State.SUCCESSFUL:
        return {}
    if last.get("o") == "lost" and record.state is State.FAILED:
        return {"c": LOST, "m": record.reason}
    return last if "c" in last else {}
