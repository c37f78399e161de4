"""The broker: one method per verb. Everything else of the package speaks to Redis through it."""

from __future__ import annotations

import functools
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import redis

from ..conf import Config
from ..core.head import has_flags
from ..core.job import Packed
from ..core.unique import key_of_lock
from . import replies, scripts
from .connection import address, command_client, translated
from .keys import Keys
from .replies import Answer, Arrival, Ending, Lease, Moved, Pause, Request, Snapshot, Ticked, Turn
from .sent import Restored, Shown

# A script blocks the server while it runs.
MOST_AT_ONCE = 1000
# Its bodies are read with it, of up to ``MAX_PAYLOAD`` each.
PAGE = 100
# Changed jobs that wait for the mirror; beyond it workers get no jobs until it has caught up.
MOST_UNMIRRORED = 1_000_000

QueueMode = Literal["only", "all"]


class RedisBroker:
    """Queues, leases and job records of one namespace.

    Every verb raises ``BrokerUnavailable`` when Redis does not answer, and may be repeated after that.
    """

    def __init__(self, config: Config, client: redis.Redis | None = None) -> None:
        self.config = config
        self.keys = Keys.of(config.namespace)
        self._client = client
        self.most_unmirrored = MOST_UNMIRRORED
        self._bounds = json.dumps(config.queue_bounds) if config.queue_bounds else ""
        self._lease = round(config.lease * 1000)
        self._keep: dict[str, Any] = {"keep": "", "keep_failed": ""}
        if not config.mirrored:
            self._keep["keep"] = round(config.retention.total_seconds() * 1000)
            self._keep["keep_failed"] = round(config.retention_failed.total_seconds() * 1000)

    @property
    def address(self) -> str:
        """Return where the server is, without credentials."""
        return address(self.config.url)

    @property
    def client(self) -> redis.Redis:
        """Return the client for commands of this process."""
        return self._client or command_client(self.config.url)

    def enqueue(self, jobs: Sequence[Packed]) -> list[Answer]:
        """Add jobs, up to a thousand in one call; answer for each whether it is new, its queue full, or a duplicate."""
        answers: list[Answer] = []
        for start in range(0, len(jobs), MOST_AT_ONCE):
            rest: list[Any] = []
            unique, verb = "", "enqueue plain"
            for job in jobs[start : start + MOST_AT_ONCE]:
                due = "" if job.run_after is None else round(job.run_after * 1000)
                rest += (job.id, job.queue, job.priority, due, job.body)
                if job.unique:
                    unique, verb = "1", "enqueue"
                elif has_flags(job.body):
                    verb = "enqueue"
            named = {"bounds": self._bounds, "unique": unique, **self._keep}
            found = self._run(verb, rest, prefix=self.keys.prefix, **named)
            answers += map(replies.answer if unique else Arrival, found)
        return answers

    def hold(self, limits: Sequence[str], seconds: float) -> None:
        """Let no job of some limits start for a time; they are named without the letters of their kinds."""
        self._run("hold", [*limits], prefix=self.keys.prefix, milliseconds=round(seconds * 1000))

    def token(self, key: str, interval: float, burst: int) -> float:
        """Take a token of a rate limit; answer 0, or in how many seconds there will be one."""
        named = {"key": key, "interval": f"{interval * 1000:.6f}", "burst": burst}
        return float(self._run("token", [], prefix=self.keys.prefix, **named)) / 1000

    def holders(self, keys: Sequence[str]) -> list[str]:
        """Return for each unique key the id of the job that has it, or an empty text."""
        return list(self._run("holders", [*keys], prefix=self.keys.prefix)) if keys else []

    def join(self, worker: str, info: str = "{}") -> None:
        """Register a worker for one lease."""
        self._run("join", [], prefix=self.keys.prefix, worker=worker, lease=self._lease, info=info)

    def leave(self, worker: str) -> bool:
        """Strike off a worker that holds nothing; answer whether it could be."""
        return bool(self._run("leave", [], prefix=self.keys.prefix, worker=worker))

    def turn(
        self,
        worker: str,
        endings: Sequence[Ending] = (),
        limit: int = 0,
        queues: Sequence[str] = (),
        mode: QueueMode = "all",
    ) -> Turn:
        """End attempts and take up to ``limit`` new jobs, in one round trip."""
        rest, named = self._turn_parts(worker, endings, limit, queues, mode)
        return replies.turn(self._run("turn", rest, **named))

    def turn_arguments(
        self, worker: str, endings: Sequence[Ending], limit: int, queues: Sequence[str], mode: QueueMode
    ) -> tuple[Any, ...]:
        """Return keys and arguments of the script of a turn, for who sends it by himself."""
        rest, named = self._turn_parts(worker, endings, limit, queues, mode)
        return scripts.load("turn").arguments(self.keys, rest, named)

    def _turn_parts(
        self, worker: str, endings: Sequence[Ending], limit: int, queues: Sequence[str], mode: QueueMode
    ) -> tuple[list[Any], dict[str, Any]]:
        rest: list[Any] = [*queues]
        for ending in endings:
            rest += ending.arguments()
        rest += [key_of_lock(ending.unique) for ending in endings if ending.unique]
        named = {
            "prefix": self.keys.prefix,
            "worker": worker,
            "limit": limit,
            "mode": mode,
            "queue_count": len(queues),
            "item_count": len(endings),
            "most_unmirrored": self.most_unmirrored,
            **self._keep,
        }
        return rest, named

    def stopping(self, workers: Sequence[str]) -> int:
        """Note that workers are stopping; none of their jobs is charged should they be killed. Answer how many."""
        return int(self._run("stopping", [*workers], prefix=self.keys.prefix))

    def held(self, worker: str) -> list[Lease]:
        """Return everything a worker holds, to repair a lost reply."""
        return replies.leases(self._run("held", [], prefix=self.keys.prefix, worker=worker))

    def is_mine(self, worker: str, job_id: str, token: int) -> bool:
        """Tell whether a worker still holds a job under a token."""
        return bool(self._run("mine", [], prefix=self.keys.prefix, worker=worker, id=job_id, token=token))

    def show(self, attempts: Sequence[Shown]) -> list[bool]:
        """Show how far attempts are; answer for each whether it is still its worker's."""
        rest = [value for attempt in attempts for value in attempt]
        return [*map(bool, self._run("progress", rest, prefix=self.keys.prefix))] if rest else []

    def renew(self, started: Mapping[str, Collection[str]]) -> dict[str, bool]:
        """Renew the leases of workers, given the jobs each has started; False means fenced."""
        rest: list[Any] = []
        for worker, ids in started.items():
            rest += (worker, len(ids), *ids)
        answers = self._run("renew", rest, prefix=self.keys.prefix, lease=self._lease)
        return {worker: bool(answer) for worker, answer in zip(started, answers, strict=True)}

    def bury(self, worker: str, started: Iterable[str] = ()) -> int:
        """Take back what a dead worker holds; answer how many jobs."""
        return int(self._run("bury", [*started], prefix=self.keys.prefix, worker=worker, **self._keep))

    def tick(self, interval: float = 0.9) -> Ticked:
        """Promote due jobs, take back what dead workers hold; does nothing within ``interval`` seconds of the last."""
        answer = self._run(
            "tick",
            [],
            prefix=self.keys.prefix,
            lease=self._lease,
            interval=round(interval * 1000),
            **self._keep,
        )
        return replies.ticked(answer)

    def take(self, limit: int, offset: int = 0) -> list[Snapshot]:
        """Return jobs that changed since they were mirrored; they stay marked until ``done``."""
        return replies.snapshots(self._run("take", [], limit=limit, offset=offset))

    def done(self, versions: Mapping[str, int]) -> list[str]:
        """Un-mark mirrored jobs whose version is still the given one; the ended ones leave Redis.

        Answer the ids that were erased meanwhile.
        """
        rest = [value for pair in versions.items() for value in pair]
        return list(self._run("done", rest, prefix=self.keys.prefix)) if rest else []

    def missing(self, ids: Sequence[str]) -> list[str]:
        """Return those of the jobs that are not in Redis."""
        return list(self._run("missing", [*ids])) if ids else []

    def present_pages(self) -> Iterator[list[str]]:
        """Yield pages of the ids of all jobs in Redis; one that comes or goes meanwhile may be among them, or not."""
        cursor = "0"
        while True:
            cursor, *ids = self._run("present", [], cursor=cursor, count=PAGE)
            yield ids
            if cursor == "0":
                return

    def inspect(self, ids: Sequence[str]) -> dict[str, Snapshot]:
        """Return those of the jobs that are in Redis, as they are now."""
        return replies.inspected(ids, self._run("inspect", [*ids])) if ids else {}

    def cancel(self, ids: Sequence[str], reason: str = "") -> list[str]:
        """Cancel waiting jobs, ask running ones to end; answer for each ``OK``, ``ASKED``, ``ENDED`` or ``GONE``."""
        reason = " ".join(reason.split()).replace("|", "/")[:200]
        answers = self._run("cancel", [*ids], prefix=self.keys.prefix, reason=reason, **self._keep)
        return list(answers)

    def asked(self, worker: str) -> list[Request]:
        """Return the attempts of a worker whose jobs were asked to cancel."""
        return replies.requests(self._run("asked", [], prefix=self.keys.prefix, worker=worker))

    def hasten(self, ids: Sequence[str]) -> list[str]:
        """Make waiting jobs ready now; answer for each ``OK``, ``READY``, ``RUNNING``, ``ENDED`` or ``GONE``."""
        return list(self._run("hasten", [*ids], prefix=self.keys.prefix, **self._keep))

    def pause(self, name: str, pause: Pause) -> None:
        """Let a queue, or a task (``keys.pause_of_task``), give out no jobs; in place of a pause that there is."""
        self._run("pause", [], prefix=self.keys.prefix, name=name, pause=pause.text())

    def resume(self, name: str) -> bool:
        """Let a queue, or a task, give out jobs again, and wake who waits for them; answer whether it was paused."""
        return bool(self._run("resume", [], prefix=self.keys.prefix, name=name))

    def move(self, source: str, target: str, jobs: Sequence[Moved]) -> list[bool]:
        """Move ready jobs to another queue at their own places; answer for each whether it was there as it was read."""
        rest = [value for job in jobs for value in job]
        named = {"prefix": self.keys.prefix, "source": source, "target": target, **self._keep}
        return [answer == 1 for answer in self._run("move", rest, **named)] if jobs else []

    def restore(self, jobs: Sequence[Restored], *, revive: bool = False) -> list[int]:
        """Bring jobs back from their rows; answer the new version of each, 0 where it is here.

        One whose unique key another job has comes back as cancelled; where it is to be revived it does not, and the
        answer is -1.
        ``revive`` brings back those too that are here and have ended.
        """
        rest: list[Any] = []
        for job in jobs:
            due = "" if job.due is None else round(job.due * 1000)
            first = "" if job.first_started is None else round(job.first_started * 1000)
            rest += (job.id, job.body, due, job.attempt, job.crashes, replies.history(job.attempts), job.version, first)
        named = {"prefix": self.keys.prefix, "revive": int(revive), **self._keep}
        return [int(answer) for answer in self._run("restore", rest, **named)]

    def erase(self, ids: Sequence[str]) -> int:
        """Remove every trace of jobs; answer how many were here."""
        return int(self._run("erase", [*ids], prefix=self.keys.prefix)) if ids else 0

    def lift(self, versions: Mapping[str, int]) -> int:
        """Raise the versions of jobs above their rows', given those; answer how many were behind."""
        rest = [value for pair in versions.items() for value in pair]
        return int(self._run("lift", rest, prefix=self.keys.prefix, **self._keep)) if rest else 0

    def mend(self, ids: Sequence[str]) -> int:
        """Put jobs where their records say that they are, and give back what nobody holds; answer how many were not.

        Needed after a restart: see ``lua/mend.lua``.
        """
        return int(self._run("mend", [*ids], prefix=self.keys.prefix, **self._keep)) if ids else 0

    def keep(self, identity: str) -> None:
        """Note that everything is as the rows say on the server with this identity (``epoch.py``)."""
        self._run("keep", [], prefix=self.keys.prefix, identity=identity)

    def drop(self, versions: Mapping[str, int]) -> int:
        """Remove jobs that have ended by their rows, given the rows' versions; answer how many were here."""
        rest = [value for pair in versions.items() for value in pair]
        return int(self._run("drop", rest, prefix=self.keys.prefix)) if rest else 0

    def _run(self, verb: str, rest: list[Any], /, **named: Any) -> Any:
        with translated(self.config.url):
            try:
                return scripts.load(verb).call(self.client, self.keys, rest, **named)
            except redis.exceptions.ReadOnlyError:
                # A server that was demoted keeps its connections; the address may lead to another by now.
                self.client.connection_pool.disconnect()
                raise


@functools.cache
def broker_for(config: Config) -> RedisBroker:
    """Return the broker of a configuration, one per process."""
    return RedisBroker(config)
