"""What a gate gets to see and what it may answer. A gate reaches for nothing itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from base.record import record
from cluster.facts import Machines, Reading, Topic
from cluster.settings import ClusterSettings


class GatePhase(StrEnum):
    """The moments of a run at which gates are asked. Every gate names those it applies to."""

    PREFLIGHT = "preflight"  # before a run starts, for each of its nodes
    ASK = "ask"  # before a person is asked for this node
    MAINTENANCE = "maintenance"  # before maintenance mode goes on
    UPGRADE = "upgrade"  # before dist-upgrade; the node is drained
    REBOOT = "reboot"  # right before the reboot
    HEALED = "healed"  # after the node is back, before maintenance mode goes off and the next node is taken
    WATCH = "watch"  # the hours after the last node
    CHECKUP = "checkup"  # in these hours, now and then: with what takes Gluster's lock


WATCHING = frozenset({GatePhase.WATCH, GatePhase.CHECKUP})


@record
class Passed:
    """`note`: what a person should know although it passed ("ONE copy left while pve2 is down"), or ""."""

    evidence: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""


@record
class Blocked:
    """`reason`: fact with numbers, one sentence. `hint`: what ends it, with the exact command where there is one."""

    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    hint: str = ""


@record
class Unknown:
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    hint: str = ""


Verdict = Passed | Blocked | Unknown


@dataclass(frozen=True, slots=True)
class OwnChanges:
    """What this run changed itself and has not put back: it does not block the run's own gates."""

    maintenance: frozenset[str] = frozenset()  # nodes
    stopped: frozenset[int] = frozenset()  # guests
    down: frozenset[str] = frozenset()  # nodes that we are rebooting right now
    tasks: frozenset[str] = frozenset()  # UPIDs
    flags: frozenset[str] = frozenset()  # of Ceph
    packages_installed: bool = False  # on the node under the knife, so "nothing to upgrade" is what is expected


@record
class ApprovalSeen:
    """What Slack said of the reactions when it was asked just now.

    `holders`: approvers (may-approve already judged) whose mark stands; `rejecters` likewise. `bound`: the digest the
    approval was given on; `present`: the digest of what would be done now, and `changed` says in words what differs.
    `given_at`: when it was counted as given, by the bot's clock.
    """

    holders: tuple[str, ...]
    rejecters: tuple[str, ...]
    needed: int
    expires_at: float
    bound: str
    present: str
    changed: str = ""
    given_at: float = 0.0


@record
class PersonSeen:
    """Somebody who would be woken. `night`: it is night for them now. `rings`: ways that make a noise at that hour.
    `proven_at`: when they last answered a drill, None = never. `quiet`: what Slack says of their Do Not Disturb."""

    name: str
    night: bool
    rings: tuple[str, ...]
    proven_at: float | None
    quiet: str = ""


@record
class OnCallSeen:
    """Who would be woken if something died in or after this run. `first`: whom the first rung pages now. `others`: who
    else can be reached. `until`: the run's expected end and the watch after it; `gaps`: (rota, start, end) without
    anybody before that. `proof_age`: seconds that an answered drill counts."""

    first: tuple[PersonSeen, ...]
    others: tuple[str, ...]
    until: float
    gaps: tuple[tuple[str, float, float], ...]
    proof_age: float


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """A frozen snapshot, collected by workflows/ for one node and one moment. It equals only itself: so what many gates
    ask of the same world can be worked out once."""

    settings: ClusterSettings
    machines: Machines
    own: OwnChanges = OwnChanges()
    approval: Reading[ApprovalSeen] | None = None
    """None: no approval has been asked yet in this phase."""
    helper_checksum: str = ""
    """What the helper's file must hash to."""
    on_call: Reading[OnCallSeen] | None = None
    """None: the settings have no section `oncall`, so there is nobody to ask about."""


@dataclass(frozen=True, slots=True, eq=False)
class Gate:
    """One gate file defines one of these as GATE, which equals only itself. `max_age`: seconds its evidence may be old.

    `check(world, node, phase, now)`; `node` is the one that would be taken.
    """

    name: str
    doc: str
    phases: frozenset[GatePhase]
    reads: frozenset[Topic]
    max_age: float
    overridable: bool
    check: Callable[[World, str, GatePhase, float], Verdict]
    asked: Callable[[World], bool] = lambda _: True
    """Whether these settings have what it asks about."""


@record
class Opinion:
    """A gate's verdict with its name and time, ready to be shown and kept. `overridden_by`: who, why; or ""."""

    gate: str
    verdict: Verdict
    at: float
    overridden_by: str = ""

    @property
    def open(self) -> bool:
        return isinstance(self.verdict, Passed) or bool(self.overridden_by)
