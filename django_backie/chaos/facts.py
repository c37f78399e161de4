"""What a campaign leaves behind, frozen: all that the checker knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Order:
    """A business row: it was committed in one transaction with its job, or not at all.

    ``expires``: monotonic seconds, from when on the job must not begin; 0: never.
    """

    job: str
    kind: str
    parent: str = ""
    expires: float = 0.0


@dataclass(frozen=True, slots=True)
class Call:
    """A committed call of a unique task: the job whose handle it got, its key, and the kind of job.

    ``at``: monotonic seconds, before it.
    """

    job: str
    key: str
    kind: str = "unique"
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Pause:
    """A queue or a task was surely paused from ``start`` to ``end``; monotonic seconds."""

    name: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class CallingOff:
    """How the wish to cancel a job was answered (``core.cancellation``), and when, in monotonic seconds."""

    job: str
    answer: str
    at: float


@dataclass(frozen=True, slots=True)
class Timetable:
    """A schedule: the kind of its jobs, its interval and the last slot that was taken up; seconds since 1970."""

    kind: str
    every: float
    last: float


@dataclass(frozen=True, slots=True)
class Row:
    """What the job table says of a job. ``finished``: monotonic seconds; None: it has not ended."""

    job: str
    state: str
    reason: str = ""
    error: str = ""
    attempt: int = 1
    max_attempts: int = 1
    crashes: int = 0
    finished: float | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """An attempt that the job table has accepted as ended."""

    job: str
    number: int
    outcome: str
    worker: str = ""


@dataclass(frozen=True, slots=True)
class Execution:
    """One run of a job's body, written down by itself. Times are monotonic seconds; ``ended`` None: it never was."""

    job: str
    attempt: int
    pid: int
    started: float
    ended: float | None = None
    succeeded: bool = False


@dataclass(frozen=True, slots=True)
class Outages:
    """From when to when Redis lost its memory, and the database may have taken no writes. Monotonic seconds."""

    wipes: tuple[tuple[float, float], ...] = ()
    unwritable: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Remains:
    """What Redis holds at a moment: key names without the prefix, workers, and the state of each job."""

    keys: tuple[str, ...] = ()
    workers: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    marked: tuple[str, ...] = ()
    jobs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything after a campaign. ``quiet`` is Redis 5 s after the last job, ``over`` after the workers' stop."""

    orders: tuple[Order, ...] = ()
    calls: tuple[Call, ...] = ()
    pauses: tuple[Pause, ...] = ()
    callings_off: tuple[CallingOff, ...] = ()
    timetables: tuple[Timetable, ...] = ()
    rows: tuple[Row, ...] = ()
    ended: tuple[Ended, ...] = ()
    executions: tuple[Execution, ...] = ()
    counter: int = 0
    effects: tuple[str, ...] = ()
    quiet: Remains = Remains()
    over: Remains = Remains()
    outages: Outages = Outages()
    known_keys: tuple[str, ...] = ()
