import asyncio
from contextlib import AsyncExitStack

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge

from pushgw.admin.control import WorkerState, serve_control, socket_path
from pushgw.admin.fleet import Counted, Fleet, add_up, only_counted, parse, unready

PINGS = """\
# HELP pushgw_pings_total Pings answered.
# TYPE pushgw_pings_total counter
pushgw_pings_total{status="1"} 3.0
pushgw_pings_total{status="2"} 4.0
"""
LATENCY = """\
# HELP pushgw_latency_seconds Latency.
# TYPE pushgw_latency_seconds histogram
pushgw_latency_seconds_bucket{le="0.001"} 1.0
pushgw_latency_seconds_bucket{le="+Inf"} 2.0
pushgw_latency_seconds_count 2.0
pushgw_latency_seconds_sum 0.5
# HELP pushgw_latency_seconds_created Latency.
# TYPE pushgw_latency_seconds_created gauge
pushgw_latency_seconds_created 1.7e+09
"""
HELD = """\
# HELP pushgw_held_pings Pings held.
# TYPE pushgw_held_pings gauge
pushgw_held_pings 10.0
"""
PROCESS = """\
# HELP process_start_time_seconds Start time.
# TYPE process_start_time_seconds gauge
process_start_time_seconds {began}
# HELP python_gc_collections_total Collections.
# TYPE python_gc_collections_total counter
python_gc_collections_total{{generation="0"}} 9.0
"""


def lines(metrics):
    """Samples nearly as the text format spells them."""
    samples = [sample for metric in metrics for sample in metric.samples]
    return [f"{one.name}{{{spell(one.labels)}}} {one.value:g}" for one in samples]


def spell(labels):
    return ",".join(f"{key}={value}" for key, value in labels.items())


def total(*texts):
    return lines(add_up((str(index), parse(text)) for index, text in enumerate(texts)))


def test_counters_are_added():
    """Counters of the same name and labels are added over workers."""
    found = total(PINGS, PINGS)

    assert ["pushgw_pings_total{status=1} 6", "pushgw_pings_total{status=2} 8"] == found


def test_label_of_one_worker_only():
    """A sample that only one worker has is kept as it is."""
    other = PINGS.replace('status="1"', 'status="7"')
    found = total(PINGS, other)

    expected = ["{status=1} 3", "{status=2} 8", "{status=7} 3"]
    assert [f"pushgw_pings_total{one}" for one in expected] == found


def test_gauges_are_added():
    """Gauges are added over workers."""
    assert ["pushgw_held_pings{} 20"] == total(HELD, HELD)


def test_histograms_are_added():
    """Buckets, counts and sums of histograms are added; their times of birth are dropped."""
    assert [
        "pushgw_latency_seconds_bucket{le=0.001} 2",
        "pushgw_latency_seconds_bucket{le=+Inf} 4",
        "pushgw_latency_seconds_count{} 4",
        "pushgw_latency_seconds_sum{} 1",
    ] == total(LATENCY, LATENCY)


def test_metrics_of_processes_stay_apart():
    """Metrics of a process as such get a label that names the worker."""
    found = total(PROCESS.format(began=1), PROCESS.format(began=2))

    assert [
        "process_start_time_seconds{worker=0} 1",
        "process_start_time_seconds{worker=1} 2",
        "python_gc_collections_total{generation=0,worker=0} 9",
        "python_gc_collections_total{generation=0,worker=1} 9",
    ] == found


def test_nobody_to_add():
    """No workers have no metrics."""
    assert [] == total()


def test_what_a_worker_leaves_behind():
    """Counters and histograms outlive a worker; gauges and its process do not."""
    found = only_counted(parse(PINGS + LATENCY + HELD + PROCESS.format(began=1)))

    assert ["pushgw_pings", "pushgw_latency_seconds"] == [one.name for one in found]


def test_missing_worker_that_was_never_seen():
    """Nothing stands for a worker that never answered."""
    assert () == Counted().missing("0")


def test_missing_worker_keeps_its_counters():
    """A worker that does not answer is represented by what it had counted before."""
    counted = Counted()
    counted.answered("0", parse(PINGS + HELD + PROCESS.format(began=1)))

    expected = ["pushgw_pings_total{status=1} 3", "pushgw_pings_total{status=2} 4"]
    assert expected == lines(counted.missing("0"))


def test_restarted_worker_keeps_its_past():
    """What the processes before had counted is kept when a worker is replaced, again and again."""
    counted = Counted()
    for began in (1, 2, 3):
        counted.answered("0", parse(PINGS + PROCESS.format(began=began)))

    expected = ["pushgw_pings_total{status=1} 6", "pushgw_pings_total{status=2} 8"]
    assert expected == lines(counted.past)


def test_next_answer_is_no_past():
    """Two answers of one process are not added."""
    counted = Counted()
    for _ in range(2):
        counted.answered("0", parse(PINGS + PROCESS.format(began=1)))

    assert () == counted.past


def test_late_answer_changes_nothing():
    """The answer of a process that was replaced meanwhile is not counted once more."""
    counted = Counted()
    for began in (1, 2, 1, 2):
        counted.answered("0", parse(PINGS + PROCESS.format(began=began)))

    expected = ["pushgw_pings_total{status=1} 3", "pushgw_pings_total{status=2} 4"]
    assert expected == lines(counted.past)


def state(**facts):
    return WorkerState(
        **{"pid": 1, "held": 0, "connections": 0, "draining": False, "redis": True, **facts}
    )


@pytest.mark.parametrize(
    ("states", "reasons"),
    [
        ({}, ["no worker is expected to run"]),
        ({"0": state()}, []),
        ({"0": state(), "1": None}, ["worker 1 does not answer"]),
        ({"0": state(draining=True)}, ["worker 0 is draining"]),
        ({"0": state(redis=False)}, ["worker 0 is not connected to redis"]),
        ({"0": state(upstream=False)}, ["worker 0 does not reach the upstream"]),
        (
            {"0": state(draining=True, redis=False), "1": None},
            [
                "worker 0 is draining",
                "worker 0 is not connected to redis",
                "worker 1 does not answer",
            ],
        ),
    ],
)
def test_reasons_against_new_phones(states, reasons):
    """A node is ready if all its workers answer, have what they need, and stay."""
    assert reasons == unready(states)


class Workers:
    """Two workers, each with its own socket and metrics."""

    def __init__(self, run_dir):
        self.sockets = {str(index): socket_path(run_dir, index) for index in range(2)}
        self.draining = False

    async def start(self, stack, *names):
        for name in names:
            registry = CollectorRegistry()
            Counter("pushgw_tests", "Tests.", registry=registry).inc(5)
            Gauge("pushgw_helds", "Held.", registry=registry).set(2)
            await stack.enter_async_context(serve_control(self.sockets[name], self.state, registry))

    def state(self):
        return state(draining=self.draining)


@pytest.fixture
def workers(tmp_path):
    return Workers(tmp_path)


async def scrape(fleet):
    return (await fleet.metrics()).decode().splitlines()


async def test_states_of_all_workers(workers):
    """All workers are asked; one that is not there has no state."""
    async with AsyncExitStack() as stack:
        await workers.start(stack, "0")
        found = await Fleet(workers.sockets).states()

    assert {"0": state(), "1": None} == found


async def test_one_scrape_covers_all_workers(workers):
    """A scrape shows sums over the workers, and how many there are."""
    async with AsyncExitStack() as stack:
        await workers.start(stack, "0", "1")
        found = await scrape(Fleet(workers.sockets))

    assert "pushgw_tests_total 10.0" in found
    assert 'pushgw_workers{state="serving"} 2.0' in found
    assert 'pushgw_workers{state="silent"} 0.0' in found


async def test_scrape_shows_its_own_process(workers):
    """The admin process is listed beside the workers."""
    found = await scrape(Fleet({}))

    assert any(line.startswith('process_cpu_seconds_total{worker="admin"}') for line in found)


async def test_scrape_survives_a_dead_worker(workers):
    """Counters of a worker that died stay in the sum, its gauges do not."""
    fleet = Fleet(workers.sockets)
    async with AsyncExitStack() as stack:
        await workers.start(stack, "0", "1")
        await fleet.metrics()
    async with AsyncExitStack() as stack:
        await workers.start(stack, "0")
        found = await scrape(fleet)

    assert "pushgw_tests_total 10.0" in found
    assert "pushgw_helds 2.0" in found
    assert 'pushgw_workers{state="silent"} 1.0' in found


async def test_scrape_of_a_draining_worker(workers):
    """Workers that drain are counted as such."""
    workers.draining = True
    async with AsyncExitStack() as stack:
        await workers.start(stack, "0", "1")
        found = await scrape(Fleet(workers.sockets))

    assert 'pushgw_workers{state="draining"} 2.0' in found


async def test_deaf_worker_is_not_waited_for(workers):
    """A worker that accepts but does not answer counts as silent when its time is up."""
    over = asyncio.Event()

    async def accept(_reader, writer):
        await over.wait()
        writer.close()

    server = await asyncio.start_unix_server(accept, workers.sockets["0"])
    async with server, asyncio.timeout(5.0):
        found = await Fleet(workers.sockets, within=0.05).states()
        over.set()

    assert {"0": None, "1": None} == found
