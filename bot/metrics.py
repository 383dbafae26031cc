"""What Prometheus is told at /metrics: numbers of runs, waits, alerts, pages, deliveries, probes and paths. No secrets,
and no text of people or machines.

Nothing is counted beside the store: each scrape reads what stands there, bounded by what is active.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bot.health import Doctor
from bot.http import Answer, Route, in_thread
from bot.probing import Probing
from store.api import RunRow, Store
from workflows.alerts import OUTAGE
from workflows.path_watch import last_round

KIND = "text/plain"
MOST_RUNS = 1000


class Figures(Collector):
    """`clock`: seconds since the epoch."""

    def __init__(
        self,
        store: Store,
        clusters: Sequence[str],
        probing: Probing,
        doctor: Doctor,
        clock: Callable[[], float],
    ) -> None:
        self._store, self._clusters, self._probing, self._doctor = store, clusters, probing, doctor
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        now = self._clock()
        runs = self._store.runs(state="active", limit=MOST_RUNS)
        yield from self._runs(runs, now)
        yield from self._outages([run for run in runs if run.workflow == OUTAGE])
        yield from self._deliveries(now)
        yield from self._probes()
        yield from self._paths()
        yield from self._health()

    def _runs(self, runs: list[RunRow], now: float) -> Iterator[Metric]:
        active = GaugeMetricFamily("roundsman_runs_active", "Runs that are active", labels=["workflow", "cluster"])
        for (workflow, cluster), count in Counter((run.workflow, run.cluster) for run in runs).items():
            active.add_metric([workflow, cluster], count)
        yield active
        waits = GaugeMetricFamily(
            "roundsman_run_waiting_seconds", "How long each active run waits already", labels=["run", "cluster"]
        )
        for run in runs:
            if run.parked:
                waits.add_metric([run.id, run.cluster], max(now - run.parked["since"], 0.0))
        yield waits

    def _outages(self, outages: list[RunRow]) -> Iterator[Metric]:
        alerts = GaugeMetricFamily("roundsman_alerts_firing", "Alerts that fire", labels=["cluster", "source"])
        for (cluster, source), count in Counter((row.cluster, row.source) for row in self._store.firing()).items():
            alerts.add_metric([cluster, source], count)
        yield alerts
        pages = GaugeMetricFamily("roundsman_pages", "Pages of open outages", labels=["how", "state"])
        found = Counter((page.how, page.state) for run in outages for page in self._store.pages(run.id))
        for (how, state), count in found.items():
            pages.add_metric([how, state], count)
        yield pages

    def _deliveries(self, now: float) -> Iterator[Metric]:
        waiting = self._store.undelivered(now)
        yield GaugeMetricFamily("roundsman_messages_waiting", "Messages that Slack has not got yet", len(waiting))
        lag = max((now - row.created_at for row in waiting), default=0.0)
        yield GaugeMetricFamily("roundsman_delivery_lag_seconds", "Age of the oldest of them", max(lag, 0.0))

    def _probes(self) -> Iterator[Metric]:
        probes = GaugeMetricFamily("roundsman_probes", "Probes by how they stand", labels=["cluster", "state"])
        for (cluster, state), count in self._probing.states().items():
            probes.add_metric([cluster, state], count)
        yield probes
        looks = CounterMetricFamily("roundsman_looks", "Looks of probes", labels=["cluster", "kind", "result"])
        for (cluster, kind, result), count in self._probing.looks().items():
            looks.add_metric([cluster, kind, result], count)
        yield looks

    def _paths(self) -> Iterator[Metric]:
        alive = GaugeMetricFamily("roundsman_path_alive", "1 if this path works", labels=["cluster", "path"])
        for cluster in self._clusters:
            known = last_round(self._store, cluster)
            for path, standing in known.standings.items() if known else ():
                alive.add_metric([cluster, path], 0 if standing.dead else 1)
        yield alive

    def _health(self) -> Iterator[Metric]:
        well = GaugeMetricFamily("roundsman_healthy", "1 if this part of the bot works", labels=["part"])
        for part, why in self._doctor.look().parts.items():
            well.add_metric([part], 0 if why else 1)
        yield well


def routes(figures: Figures) -> list[Route]:
    """A registry of our own: the library's global one brings collectors that nobody asked for."""
    registry = CollectorRegistry()
    registry.register(figures)
    return [Route("GET", "/metrics", in_thread(lambda _: Answer(200, generate_latest(registry).decode(), KIND)))]
