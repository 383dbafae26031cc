"""What watches from outside, and what others watch the bot by: probes, the HTTP server, the sign of life."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from bot import health, metrics
from bot.health import Doctor
from bot.heartbeat import Heartbeat
from bot.http import Http, Route
from bot.http_settings import HttpSettings
from bot.metrics import Figures
from bot.probing import Probing
from bot.settings import Settings
from bot.webhook import Webhook
from bot.worker import Fatal, Worker
from cluster.api import Cluster
from engine.runner import Runner
from store.api import Store
from workflows.night_watch import NightWatch
from workflows.settings import ManagedCluster

log = logging.getLogger(__name__)


class Lookout:
    """`cluster` makes adapters for probing alone. `routes`: what else the HTTP server answers. `unheard`: as the
    doctor takes it. Raises StoreError."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        runner: Runner,
        cluster: Callable[[ManagedCluster], Cluster],
        clock: Callable[[], float],
        fatal: Fatal,
        routes: Sequence[Route] = (),
        unheard: Callable[[], str] = lambda: "",
    ) -> None:
        self._settings, self._store, self._runner, self._clock, self._fatal = settings, store, runner, clock, fatal
        managed = {one.name: one for one in settings.clusters}
        begin, count = time.monotonic(), len(managed)
        watches = [NightWatch(store, one, begin, clock(), n / count) for n, one in enumerate(managed.values())]
        looked_at = {w.managed.name: cluster(w.managed) for w in watches if w.probes}
        self.probing = Probing(watches, looked_at, clock, time.monotonic, runner.wake, fatal)
        self.doctor = Doctor(store, runner, self.probing, clock, time.monotonic, self._listens, unheard)
        self._webhook: Webhook | None = None
        self.http: Http | None = None
        if settings.http:
            self._open(settings.http, managed, routes)
        beat = Heartbeat(settings.heartbeat, self.doctor) if settings.heartbeat.url.get_secret_value() else None
        self._beating = Worker("heartbeat", beat.step, fatal) if beat else None

    def _open(self, http: HttpSettings, managed: Mapping[str, ManagedCluster], routes: Sequence[Route]) -> None:
        self._webhook = Webhook(self._store, managed, http, self._clock, self._runner.wake, self._fatal)
        figures = Figures(self._store, tuple(managed), self.probing, self.doctor, self._clock)
        own = [*health.routes(self.doctor), *metrics.routes(figures), *self._webhook.routes]
        self.http = Http(http, [*own, *routes], self._fatal)

    def _listens(self) -> bool:
        return self.http is None or self.http.alive

    def start(self) -> None:
        """Raises CannotListen."""
        if self._webhook and self.http:
            self._webhook.start()
            self.http.start()
        self.probing.start()
        if self._beating:
            self._beating.start()

    def stop(self) -> None:
        if self._beating:
            self._beating.stop()
        self.probing.stop()
        if self._webhook and self.http:
            self.http.stop()
            self._webhook.stop()
        self.doctor.stop()


def secrets(settings: Settings) -> Iterator[str]:
    """What must never stand in a log; of an address that is a secret, its last part too."""
    for source in settings.http.sources if settings.http else ():
        yield source.token.get_secret_value()
    if url := settings.heartbeat.url.get_secret_value():
        yield url
        yield url.partition("?")[0].rstrip("/").rpartition("/")[2]
