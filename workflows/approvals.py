"""Approval by emoji: what it is bound to, who counts, and what Slack says of it at the moment of the deed.

An approval is bound to node, boot id, target kernel, package versions until they are installed, guests to be stopped
and overrides; never to counters, times or what the run itself changes (DESIGN section 4).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from cluster.facts import Machines, Read, Reading, Unread
from cluster.guest_settings import CannotMove
from cluster.ways import way_out
from cluster.world import ApprovalSeen
from store.api import Store, VoteRow
from workflows.roles import why_not_approve
from workflows.settings import ManagedCluster, PeopleSettings
from workflows.site import Chat, ChatDown, Reaction, Site

APPROVE, REJECT = "white_check_mark", "x"
MARKS = {APPROVE: "approve", REJECT: "reject"}
ALIASES = {"heavy_check_mark": APPROVE, "ballot_box_with_check": APPROVE, "negative_squared_cross_mark": REJECT}


def normalised(emoji: str) -> str:
    """Skin tones off (`name::skin-tone-3`), look-alikes folded into the two names that count."""
    name = emoji.split("::")[0]
    return ALIASES.get(name, name)


@dataclass(frozen=True, slots=True)
class Need:
    """What a node needs and what it would cost: the contents of an approval. `packages` is the plan's checksum, "" if
    there is nothing to install; `stops`: guests that would be shut down; `called`: id -> name of both kinds."""

    boot_id: str
    kernel: str
    target: str
    packages: str
    count: int
    names: tuple[str, ...]
    restarts_gluster: bool
    stops: tuple[int, ...]
    moves: tuple[int, ...]
    reboot: bool
    called: Mapping[str, str] = field(default_factory=dict)

    @property
    def nothing(self) -> bool:
        return not self.packages and not self.reboot

    def plain(self) -> dict[str, Any]:
        return {name: list(v) if isinstance(v := getattr(self, name), tuple) else v for name in self.__slots__}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Need:
        fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in plain.items()}
        return cls(**fields)


class Terms(Protocol):
    """What an approval was given for, whatever it is about: comparable, and able to say what has changed since."""

    def digest(self) -> str: ...

    def changed(self, now: Any) -> str:
        """Against the same as it is now: what a person would have to approve anew, in words; "" if nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Bound:
    """What the approval of a node was given for."""

    boot_id: str
    target: str
    packages: str
    stops: tuple[int, ...]
    overrides: tuple[str, ...]

    def plain(self) -> dict[str, Any]:
        return {
            "boot_id": self.boot_id,
            "target": self.target,
            "packages": self.packages,
            "stops": list(self.stops),
            "overrides": list(self.overrides),
        }

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Bound:
        return cls(
            plain["boot_id"], plain["target"], plain["packages"], tuple(plain["stops"]), tuple(plain["overrides"])
        )

    def digest(self) -> str:
        return digest_of(self.plain())

    def changed(self, now: Bound) -> str:
        return difference(self, now)


def digest_of(plain: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Present:
    """What would be done now: the same contents, read again; or why they could not be read."""

    bound: Terms | None
    why: str = ""


def bound_now(
    machines: Machines,
    node: str,
    approved: Bound,
    *,
    installed: bool,
    stopped: Iterable[int],
    overrides: Iterable[str],
    policy: CannotMove,
) -> Present:
    """The approval's contents as they are now. Packages are compared until they are installed; a guest that this run
    has stopped already counts as one that is to be stopped."""
    status = machines.nodes.get(node)
    if not isinstance(status, Read):
        return Present(None, f"{node} was not read: {status.why if status else 'not asked'}")
    target, packages = status.value.boot_kernel, approved.packages
    if not installed and approved.packages:
        if not isinstance(machines.packages, Read):
            return Present(None, f"the package plan of {node} was not read: {machines.packages.why}")
        target = machines.packages.value.new_kernel or target
        packages = "" if machines.packages.value.empty else machines.packages.value.checksum
    if not target:
        return Present(None, f"{node} does not tell which kernel would boot next")
    stops = tuple(sorted({*stopped, *(stops_on(machines, node, policy) if not installed else approved.stops)}))
    return Present(Bound(status.value.boot_id, target, packages, stops, tuple(sorted(overrides))))


def stops_on(machines: Machines, node: str, policy: CannotMove) -> tuple[int, ...]:
    """Running guests of the node that have nowhere to go, or are to be shut down by the settings."""
    if not isinstance(machines.guests, Read) or not isinstance(machines.moves, Read):
        return ()
    running = {g.id: g for g in machines.guests.value if g.node == node and g.running and not g.template}
    moves = [move for move in machines.moves.value if move.guest in running]
    return tuple(sorted(m.guest for m in moves if not way_out(policy, running[m.guest], m).moves))


def difference(then: Bound, now: Bound) -> str:
    """What a person would have to approve anew, as half a sentence; "" if nothing."""
    parts = []
    if then.boot_id != now.boot_id:
        parts.append("the node was rebooted since")
    if then.target != now.target:
        parts.append(f"the kernel to boot is now {now.target}, approved was {then.target}")
    if then.packages != now.packages:
        parts.append("the package versions changed")
    if then.stops != now.stops:
        parts.append(f"guests to stop are now {listed(now.stops)}, approved were {listed(then.stops)}")
    if then.overrides != now.overrides:
        parts.append("the overrides changed")
    return "; ".join(parts)


def listed(ids: Sequence[int]) -> str:
    return ", ".join(map(str, ids)) or "none"


@dataclass(frozen=True, slots=True)
class Tally:
    """Whose marks stand, by the rows that were written."""

    approve: tuple[str, ...]
    reject: tuple[str, ...]


def tally(votes: Sequence[VoteRow], by: float) -> Tally:
    """Marks that stand at the time `by`; later ones do not count, for reactions carry no time (DESIGN section 8)."""
    standing: dict[tuple[str, str], bool] = {}
    for vote in votes:
        if vote.at <= by:
            standing[(vote.mark, vote.user)] = vote.given
    return Tally(
        tuple(sorted(user for (mark, user), given in standing.items() if given and mark == "approve")),
        tuple(sorted(user for (mark, user), given in standing.items() if given and mark == "reject")),
    )


def counted(users: Iterable[str], starter: str, people: PeopleSettings, chat: Chat) -> tuple[str, ...]:
    """Those who may approve. Raises ChatDown when a user group cannot be read."""
    return tuple(user for user in users if not why_not_approve(user, starter, people, chat))


def _users(reactions: Iterable[Reaction], emoji: str) -> set[str]:
    return {user for reaction in reactions if normalised(reaction.name) == emoji for user in reaction.users}


def seen_now(
    site: Site, run_id: str, key: str, starter: str, approved: Terms, present: Present, expires_at: float
) -> Reading[ApprovalSeen]:
    """Ask Slack itself, once more, right before the deed. No answer is Unread, and unread blocks."""
    now = site.clock()
    row = site.store.outbox_row(run_id, key)
    if row is None or not row.ts:
        return Unread("the approval request was never delivered", now)
    if present.bound is None:
        return Unread(present.why, now)
    people = site.managed.people
    try:
        reactions = site.chat.reactions(row.channel, row.ts)
        holders = counted(sorted(_users(reactions, APPROVE)), starter, people, site.chat)
        rejecters = counted(sorted(_users(reactions, REJECT)), starter, people, site.chat)
    except ChatDown as down:
        return Unread(f"Slack did not say whether the approval still stands: {down}", now)
    bound, is_now, changed = approved.digest(), present.bound.digest(), approved.changed(present.bound)
    given_at = expires_at - site.managed.limits.approval_valid
    needed = people.approvals_needed
    return Read(ApprovalSeen(holders, rejecters, needed, expires_at, bound, is_now, changed, given_at), now)


def note_vote(
    store: Store,
    chat: Chat,
    managed: ManagedCluster,
    run_id: str,
    key: str,
    user: str,
    emoji: str,
    given: bool,
    at: float,
) -> str:
    """Write down a reaction on an approval request. Returns why it does not count, as half a sentence, or "".

    Idempotent: a reaction delivered twice changes nothing. Raises ChatDown when a user group cannot be read.
    """
    mark = MARKS.get(normalised(emoji))
    if mark is None:
        return f"only :{APPROVE}: (approve) and :{REJECT}: (reject) count here" if given else ""
    run = store.run(run_id)
    starter = run.created_by if run else ""
    why = why_not_approve(user, starter, managed.people, chat)
    if not why:
        store.vote(VoteRow(run_id, key, user, mark, given, at))
    return why if given else ""
