"""What the rota brings about by itself, told by the clock on the wall: hand-offs (in the channel, and to both people
alone), gaps ahead, nobody on call now, and a Slack user group that is kept in step.

Each is told once: a message's key is made of the rota and the instant, so that a crash or a restart repeats nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol
from zoneinfo import ZoneInfo

from engine.port import Saying
from oncall.duty import Duty
from oncall.escalation import LAST_RESORT, ROTA, policy_of
from oncall.rota import Gap
from oncall.settings import HOUR, OnCallSettings, Policy, Rota
from oncall.wall import shown
from store.api import Store
from workflows import messages_oncall as messages
from workflows.alerts import Alert, clear_alerts, raise_alerts
from workflows.settings import ManagedCluster
from workflows.site import ChatDown

EVERY_S = 15.0
RUN = "oncall"
"""These messages belong to no run; their outbox goes by this name."""
MORNING = 9
"""A gap ahead is told once a day, and not at night: from this hour on, on the clock of the rota's zone."""
SOON_S = 12 * HOUR  # a gap this near is told at any hour
GROUP_S = 1 * HOUR
"""A user group is compared so often, for somebody may have changed it by hand; also the rest after a refusal."""

log = logging.getLogger(__name__)


class Groups(Protocol):
    """What is needed of Slack; SlackChat has it. Both raise ChatDown."""

    def members(self, group: str) -> frozenset[str]: ...

    def set_members(self, group: str, users: Sequence[str]) -> None: ...


class Handoffs:
    """`channel`: where it is told. `ready`: whether it is known by now who is on call. For one thread; raises
    StoreError."""

    def __init__(
        self,
        store: Store,
        duty: Callable[[], Duty],
        groups: Groups,
        clusters: Mapping[str, ManagedCluster],
        channel: str,
        clock: Callable[[], float],
        ready: Callable[[], bool] = lambda: True,
    ) -> None:
        self._store, self._duty, self._groups, self._clock = store, duty, groups, clock
        self._clusters, self._channel, self._ready = clusters, channel, ready
        self._compared: dict[str, tuple[float, tuple[str, ...]]] = {}

    def step(self) -> None:
        if not self._ready():
            return
        duty, now = self._duty(), self._clock()
        for rota in duty.settings.rotas:
            self._hand_off(duty, rota, now)
            self._warn(duty, rota, now)
            if rota.user_group:
                self._keep_in_step(duty, rota, now)
        for policy, managed in self._policies(duty.settings):
            self._nobody(duty, policy, managed, now)

    # hand-offs ------------------------------------------------------------------------------------------------

    def _hand_off(self, duty: Duty, rota: Rota, now: float) -> None:
        """Whoever was seen on call last time and is not now, and the reverse. What a bot that was down missed in
        between is not told any more; who is on call now is."""
        name = f"oncall/seen/{rota.name}"
        people = [shift.person for shift in duty.all_on_call(rota.name, now)]
        seen = self._store.kept(name)
        if seen is not None and seen.value == people:
            return
        if seen is not None:
            known = [person for person in seen.value if person in duty.settings.people]
            gone, come = _without(known, people), _without(people, known)
            if gone or come:
                self._tell_hand_off(duty, rota.name, gone, come, now)
        self._store.keep(name, people, now)

    def _tell_hand_off(self, duty: Duty, rota: str, gone: list[str], come: list[str], now: float) -> None:
        people, key = duty.settings.people, f"{rota}/{_instant(duty, rota, now)}/{'+'.join([*gone, '', *come])}"
        self._say(f"{key}/channel", messages.handed_off(duty, rota, gone, come, now))
        for name in come:
            self._say(f"{key}/on/{name}", messages.you_are_on(duty, rota, now), people[name].slack)
        for name in gone:
            self._say(f"{key}/off/{name}", messages.you_are_off(duty, rota, come), people[name].slack)

    # gaps -----------------------------------------------------------------------------------------------------

    def _warn(self, duty: Duty, rota: Rota, now: float) -> None:
        gaps = duty.gaps(rota.name, now, now + rota.warn_gap) if rota.warn_gap else []
        if gaps and _may_be_told(rota, gaps[0], now):
            day = shown(ZoneInfo(rota.zone), now).date()
            self._say(f"gap/{rota.name}/{day}", messages.gaps_ahead(duty, gaps, now))

    def _policies(self, settings: OnCallSettings) -> list[tuple[Policy, ManagedCluster]]:
        """Each policy that is used, be it by one probe, with the first cluster that uses it: nobody is woken once for
        each cluster."""
        found: dict[str, tuple[Policy, ManagedCluster]] = {}
        for managed in self._clusters.values():
            of_probes = {managed.probing.policy, *(probe.policy for probe in managed.probes)} - {""}
            for name in (managed.outages.policy, *sorted(of_probes)):
                policy = policy_of(settings, name)
                found.setdefault(policy.name, (policy, managed))
        return list(found.values())

    def _nobody(self, duty: Duty, policy: Policy, managed: ManagedCluster, now: float) -> None:
        """A policy pages by rotas, and nobody is on call in any of them: an outage by itself. Raised once for each time
        that it comes so: whoever ends the outage by hand has been told."""
        rotas = _rotas(policy)
        bare = bool(rotas) and not any(duty.all_on_call(rota, now) for rota in rotas if rota in duty.rotas)
        name = fingerprint = f"oncall/nobody/{policy.name}"
        before = self._store.kept(name)
        if bare == bool(before and before.value):
            return
        if bare:
            summary = messages.nobody_on_call(rotas)
            alert = Alert(fingerprint, "watch", f"policy {policy.name}", summary, "critical", now, {}, LAST_RESORT)
            raise_alerts(self._store, managed, [alert], now)
        else:
            clear_alerts(self._store, managed.name, [fingerprint], now)
        self._store.keep(name, bare, now)

    # the user group -------------------------------------------------------------------------------------------

    def _keep_in_step(self, duty: Duty, rota: Rota, now: float) -> None:
        """In a gap it stays as it is: Slack takes no empty one."""
        group, people = rota.user_group, duty.settings.people
        users = tuple(people[shift.person].slack for shift in duty.all_on_call(rota.name, now))
        at, last = self._compared.get(group, (float("-inf"), ()))
        if not users or (users == last and 0 <= now - at < GROUP_S):
            return
        self._compared[group] = (now, users)
        try:
            if self._groups.members(group) != frozenset(users):
                self._groups.set_members(group, users)
        except ChatDown as down:
            log.warning("handoffs: user group '%s' of rota '%s' is not in step: %s", group, rota.name, down)

    # ----------------------------------------------------------------------------------------------------------

    def _say(self, key: str, text: str, to: str = "") -> None:
        """To the channel, or to one person alone."""
        saying = Saying("direct", text, to=to) if to else Saying("note", text, detail={"channel": self._channel})
        self._store.put_out(RUN, key, saying.plain(), self._clock())


def _without(names: Sequence[str], others: Sequence[str]) -> list[str]:
    return [name for name in names if name not in others]


def _instant(duty: Duty, rota: str, now: float) -> int:
    """Of the last change before now: the same for whoever looks a little later, or again after a crash."""
    shifts = duty.shifts(rota, now - 7 * 24 * HOUR, now + 1)
    return int(max((at for shift in shifts for at in (shift.start, shift.end) if at <= now), default=now))


def _may_be_told(rota: Rota, gap: Gap, now: float) -> bool:
    return gap.start < now + SOON_S or shown(ZoneInfo(rota.zone), now).hour >= MORNING


def _rotas(policy: Policy) -> list[str]:
    """The rotas by which it pages, each once."""
    named = dict.fromkeys(who for rung in policy.rungs for who in rung.who)
    return [who.removeprefix(ROTA) for who in named if who.startswith(ROTA)]
