"""Prometheus metrics, served at `/metrics` on a port of their own, one for each process.

Requests and sends are counted as they happen. The outbox and the pool are read when the metrics are
scraped, so a process without a scraper pays nothing for them.
"""

import errno
import threading
from collections import Counter as Counts
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from wsgiref.simple_server import WSGIServer

import psycopg
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from chat.conf import compose_conninfo

PORTS = 16
"""How many ports, from METRICS_PORT on, the processes of one machine may use."""
REGISTRY = CollectorRegistry()

REQUESTS = Counter(
    "besedka_requests", "Requests answered.", ["method", "route", "status"], registry=REGISTRY
)
REQUEST_SECONDS = Histogram(
    "besedka_request_seconds",
    "Time from a request's first byte to the last byte of its answer.",
    ["route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
    registry=REGISTRY,
)
SENDS = Counter("besedka_sends", "Messages by what became of them.", ["outcome"], registry=REGISTRY)
SEND_WAITING = Gauge(
    "besedka_send_queue_waiting", "Messages that wait to be written.", registry=REGISTRY
)
SEND_BATCH = Histogram(
    "besedka_send_batch_messages",
    "Messages written by one call.",
    buckets=(1, 2, 4, 8, 16, 32, 64),
    registry=REGISTRY,
)
BEFORE_SEND = Counter(
    "besedka_before_send",
    "Questions to the host about messages, by what became of them.",
    ["outcome"],
    registry=REGISTRY,
)
BEFORE_SEND_SECONDS = Histogram(
    "besedka_before_send_seconds",
    "Time from a question to the host's answer.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1),
    registry=REGISTRY,
)

# Reads all partitions, the empty ones too: an alert needs a series that exists. The age is read at
# the head of the index and the count ends at 10,000, so that a long backlog does not make its own
# alarm fail.
OUTBOX = """
SELECT partition,
       (SELECT count(*) FROM (
            SELECT FROM chat_outbox o WHERE o.partition = p.partition LIMIT 10000) AS waiting),
       coalesce(extract(epoch FROM clock_timestamp() - (
            SELECT o.created_at FROM chat_outbox o WHERE o.partition = p.partition
            ORDER BY o.id LIMIT 1)), 0)::float8
FROM generate_series(0, (SELECT outbox_partitions FROM chat_installation) - 1) AS p (partition)
ORDER BY partition
"""

log = structlog.get_logger(__name__)


class OutboxCollector(Collector):
    """Reads the outbox when metrics are scraped; while the database is away there is a gap."""

    def __init__(self, database_url: str) -> None:
        self._conninfo = compose_conninfo(database_url, "besedka-metrics", statement_timeout=3000)

    def collect(self) -> Iterator[Metric]:
        """Yield rows and the age in seconds of the oldest row, by partition."""
        rows = GaugeMetricFamily(
            "besedka_outbox_rows", "Rows waiting, counted up to 10,000.", labels=["partition"]
        )
        age = GaugeMetricFamily(
            "besedka_outbox_age_seconds", "Age of the oldest row.", labels=["partition"]
        )
        try:
            with psycopg.connect(self._conninfo) as connection:
                for partition, count, seconds in connection.execute(OUTBOX):
                    rows.add_metric([str(partition)], count)
                    age.add_metric([str(partition)], seconds)
        except psycopg.Error as error:
            log.warning("outbox_metrics_failed", error=type(error).__name__)
        yield rows
        yield age

    def describe(self) -> Iterator[Metric]:
        """Yield nothing: registering must not ask the database."""
        return iter(())


class PoolCollector(Collector):
    """Reads the pools of connections when metrics are scraped."""

    def __init__(self, *pools: Callable[[], Mapping[str, int]]) -> None:
        self._pools = pools

    def collect(self) -> Iterator[Metric]:
        """Yield the pools' size, their idle connections and the requests that wait for one."""
        statistics: Counts[str] = Counts()
        for read_statistics in self._pools:
            statistics += Counts(read_statistics())
        for name in ("pool_size", "pool_available", "requests_waiting"):
            yield GaugeMetricFamily(
                f"besedka_database_{name}",
                "The API's connections to PostgreSQL; see psycopg_pool's statistics.",
                value=statistics[name],
            )


@contextmanager
def serve_metrics(host: str, port: int, *collectors: Collector) -> Iterator[None]:
    """Serve this process's metrics while the block runs; port 0 serves none.

    Several processes of one machine have the same settings, such as the workers of one uvicorn.
    Each takes the first of the `PORTS` ports from `port` on that is free, and its log says which.
    Where none is, the block runs without metrics, and a warning says so: nobody should miss a
    message because of them.
    """
    started = _start_server(host, port) if port else None
    if started is None:
        yield
        return
    server, thread = started
    for collector in collectors:
        REGISTRY.register(collector)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
        for collector in collectors:
            REGISTRY.unregister(collector)


def _start_server(host: str, first: int) -> tuple[WSGIServer, threading.Thread] | None:
    last = min(first + PORTS - 1, 65_535)
    reason = ""
    for port in range(first, last + 1):
        try:
            started = start_http_server(port, host, registry=REGISTRY)
        except OSError as error:
            reason = str(error)
            if error.errno == errno.EADDRINUSE:
                continue
            break
        log.info("metrics_served", host=host, port=port)
        return started
    log.warning("metrics_not_served", host=host, ports=f"{first}-{last}", error=reason)
    return None
