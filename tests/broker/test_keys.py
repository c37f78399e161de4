"""The name of every key."""

from __future__ import annotations

from django_backie.broker.keys import Keys
from django_backie.broker.redis import RedisBroker
from django_backie.broker.replies import Pause
from django_backie.broker.sent import Shown
from django_backie.core.states import State

from .conftest import documented_names
from .support import HOUR, claim, end, far_future, job, jobs, make_due, marked, run, without_mirror


def test_all_keys_of_a_namespace_share_one_hash_tag() -> None:
    keys = Keys.of("shop")

    names = [keys["b"], keys.queue("mail"), keys.held("w1"), keys.marker(None), keys.marker("mail")]

    assert all(name.startswith("shop:{0}:") for name in names)


def test_two_namespaces_never_share_a_key() -> None:
    assert not Keys.of("shop").prefix.startswith(Keys.of("sho").prefix)
    assert Keys.of("shop").queue("a") != Keys.of("shop:{0}:q").queue("a")


def test_every_documented_key_is_used_and_no_other(broker: RedisBroker) -> None:
    """The whole life of several jobs; the fixture of this package looks for undocumented names in every test."""
    broker.enqueue([*jobs("abcdefg"), job("later", run_after=far_future())])
    leases = claim(broker, 4)
    broker.show([Shown("w1", leases[3].id, leases[3].token, "[]")])
    end(broker, leases[0])
    end(broker, leases[1], State.SCHEDULED, refund=True, delay=HOUR)
    broker.erase(["c"])
    broker.client.hset(broker.keys["u"], mapping={f"e{number:x}": "gone" for number in range(1000)})
    broker.enqueue([job(name, priority=9, limits="c1|1|1|2 r1|60000.000000|1") for name in "lm"])
    claim(broker, 2)
    broker.hold(["2"], HOUR)
    broker.enqueue([job(name, group="a1|1") for name in "xyz"])
    broker.tick()
    broker.stopping(["w1"])
    broker.keep("server")
    broker.pause("mail", Pause(1.0))
    other = without_mirror(broker)
    other.cancel(["f"])
    broker.cancel(["g", "d"])
    broker.done({"g": marked(broker)["g"]})

    found = {key.removeprefix(broker.keys.prefix) for key in broker.client.scan_iter(f"{broker.keys.prefix}*")}

    plain = {name for name in documented_names() if name.isalpha()}
    assert plain <= found | {"q"}
    assert {"w:w1", "k:default"} <= found


def test_a_namespace_whose_work_is_done_keeps_no_jobs(broker: RedisBroker) -> None:
    for job_id in "abc":
        run(broker, job_id)
    run(broker, "r", State.RETRYABLE, delay=HOUR)
    make_due(broker, "r")
    end(broker, claim(broker)[0], State.FAILED)
    broker.leave("w1")
    broker.done({snapshot.id: snapshot.version for snapshot in broker.take(100)})

    left = {key.removeprefix(broker.keys.prefix) for key in broker.client.scan_iter(f"{broker.keys.prefix}*")}

    assert left == {"qs", "seq", "k", "kn", "k:default", "g"}


def test_a_namespace_in_which_all_went_well_remembers_no_job(broker: RedisBroker) -> None:
    run(broker, "a")
    broker.leave("w1")
    broker.done(marked(broker))

    left = {key.removeprefix(broker.keys.prefix) for key in broker.client.scan_iter(f"{broker.keys.prefix}*")}

    assert left == {"qs", "seq", "k", "kn", "k:default"}
