"""The node helper as seen from the bot: orders go over SSH, JSON or gluster's XML comes back."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from cluster.api import ClusterError, Refused, Uncertain, UnitState, Unreachable
from cluster.apt import index_is_old, package_plan
from cluster.facts import NodeStatus, PackagePlan
from cluster.paths import Shell
from cluster.rescue import Side
from cluster.settings import ClusterSettings
from cluster.ssh import Done, spoken

T = TypeVar("T")

REFUSED = 3  # the helper's exit code for "no, because"
NOT_UNDERSTOOD = "roundsman-helper does not understand"
"""The one on the node is of another version than the bot."""
UNCLEAR = 4  # and for "it gave no answer, and may have been done"
PLAN_S = 450.0  # apt-get update on a slow mirror, and the simulation
GUARDED_S = 240.0  # heal query, simulation and the act itself
ENTRIES_BYTES = 16 * 1024 * 1024
INSTALL = "run `roundsman install-helper {cluster} --node {node} --admin-key FILE`"

READS = frozenset({"status", "plan", "gluster", "images", "split", "unit"})
GUARDED = frozenset({"maintenance", "upgrade", "reboot", "ha-state", "choose"})
"""Orders that may arrive twice: each asks for a state, or is refused by boot id, deadline, unit name or mark. Any other
act is sent once, and what becomes of it must be looked up."""

_NO_SUDO = ("password is required", "not in the sudoers", "not allowed to", "a terminal is required")
_MISSING = ("not found", "No such file")
"""sudo and bash say "command not found", Debian's /bin/sh, the login's own shell, "sudo: not found"."""
_NO_SHELL = b"account is currently not available"
"""What nologin prints, as an answer."""
_TRACE = "Traceback (most recent call last)"


@dataclass(frozen=True, slots=True)
class Votes:
    """Corosync's votes as one node sees them: of each node as configured; expected, needed, the QDevice's now."""

    nodes: Mapping[str, int]
    expected: int
    quorum: int
    qdevice: int


@dataclass(frozen=True, slots=True)
class Copies:
    """One node's own copies of an image in split-brain, and which of its entries are split anywhere."""

    gfid: str
    entries: tuple[str, ...]
    mark: str
    sides: tuple[Side, ...]


@dataclass(frozen=True, slots=True)
class Word:
    """A helper's word on its node. `votes`: None if corosync tells none."""

    status: NodeStatus
    votes: Votes | None


class Helper:
    """The helper on one node. Raises what SshNode raises, and Refused where the helper says no."""

    def __init__(self, ssh: Shell, settings: ClusterSettings) -> None:
        self.node = ssh.name
        self._ssh = ssh
        self._login = settings.ssh.user
        self._program = shlex.split(settings.ssh.helper)
        self._timeout = settings.ssh.timeout
        self._gluster_timeout = settings.gluster.timeout
        self._install = INSTALL.format(cluster=settings.name, node=ssh.name)

    # ---- reads ---------------------------------------------------------------------------------------------------

    def status(self) -> NodeStatus:
        return self.word().status

    def votes(self) -> Votes:
        return votes_in(self.word())

    def word(self) -> Word:
        answer = self._order("status")
        votes = None if answer.get("votes") is None else self._understood(_votes, answer)
        status = self._understood(_status, answer)
        if status.node != self.node:
            raise Refused(
                f"{self.node}: who answers at its address calls itself {status.node}",
                f"nodes.{self.node}.address in the settings leads to another machine",
            )
        return Word(status, votes)

    def images(self, volume: str) -> dict[str, tuple[str, ...]]:
        """Brick -> images of guests among the entries that it lists for healing, as far as the node read its listing:
        bounded in time and length, however many entries there are."""
        answer = self._order("images", volume)
        return self._understood(_images, answer)

    def packages(self) -> PackagePlan:
        """What dist-upgrade would do, from package lists that are not too old."""
        answer = self._order("plan", timeout=PLAN_S)
        if index_is_old(answer):
            answer = self._order("plan", "refresh", timeout=PLAN_S)
        return self._understood(lambda row: package_plan(row, self.node), answer)

    def gluster(self, read: str, *volume: str) -> Done:
        """Gluster's own answer to pool-list, volume-info, volume-status V, heal-summary V or heal-info V."""
        argv = [*self._program, "gluster", read, *volume]
        done = self._ssh.run(argv, self._gluster_timeout, ENTRIES_BYTES, twice=True)
        if done.out.startswith(b"{") or self._not_run(done):
            self._json(argv, done)
        return done

    def split(self, volume: str, image: str) -> Copies:
        return self._understood(_copies, self._order("split", volume, image, timeout=self._gluster_timeout))

    def unit(self, unit: str) -> UnitState:
        return self._understood(_unit, self._order("unit", unit))

    # ---- acts ----------------------------------------------------------------------------------------------------

    def maintenance_on(self, not_after_uptime: float) -> None:
        self._order("maintenance", "on", f"{not_after_uptime:.2f}")

    def maintenance_off(self, node: str, not_after_uptime: float) -> None:
        """`node`: whose; `not_after_uptime`: of the node that is asked."""
        self._order("maintenance", "off", f"{not_after_uptime:.2f}", node)

    def upgrade(self, unit: str, plan_checksum: str, not_after_uptime: float) -> None:
        self._order("upgrade", unit, plan_checksum, f"{not_after_uptime:.2f}", timeout=GUARDED_S)

    def reboot(self, boot_id: str, not_after_uptime: float) -> None:
        self._order("reboot", boot_id, f"{not_after_uptime:.2f}", timeout=GUARDED_S)

    def unlock(self, guest: int, lock: str) -> None:
        self._order("unlock", str(guest), lock)

    def ha_state(self, sid: str, state: str, not_after_uptime: float) -> None:
        self._order("ha-state", sid, state, f"{not_after_uptime:.2f}")

    def choose(self, volume: str, brick: str, mark: str, image: str) -> None:
        self._order("choose", volume, brick, mark, image, timeout=GUARDED_S)

    # ---- what came back ------------------------------------------------------------------------------------------

    def _order(self, *words: str, timeout: float | None = None) -> dict[str, Any]:
        """An order that is refused after an earlier try of it was lost may have been done by that one."""
        argv = [*self._program, *words]
        done = self._ssh.run(argv, timeout or self._timeout, twice=words[0] in READS | GUARDED)
        try:
            return self._json(argv, done)
        except Refused as refused:
            if done.doubt and words[0] not in READS:
                raise Uncertain(f"{done.doubt}; tried again over another path: {refused}", refused.hint) from refused
            raise

    def _json(self, argv: list[str], done: Done) -> dict[str, Any]:
        answer = _parsed(done.out)
        if answer is None:
            raise self._not_run(done) or self._broke(argv, done)
        if done.rc == REFUSED and "refused" in answer:
            hint = self._install if NOT_UNDERSTOOD in answer["refused"] else str(answer.get("hint", ""))
            raise Refused(f"{self.node}: {answer['refused']}", hint)
        if done.rc == UNCLEAR and "unclear" in answer:
            raise Uncertain(f"{self.node}: {answer['unclear']}")
        if done.rc:
            raise self._broke(argv, done)
        return answer

    def _not_run(self, done: Done) -> ClusterError | None:
        """Why the helper was not even started, in which case nothing happened; None if it was."""
        said = done.err.decode(errors="replace")
        if _TRACE in said:  # it ran, whatever it did not find
            return None
        if _NO_SHELL in done.out:
            return Refused(
                f"{self.node}: the login {self._login} has no shell", f"`usermod --shell /bin/sh {self._login}` there"
            )
        if any(words in said for words in _NO_SUDO):
            return Refused(f"{self.node}: sudo does not let this login run the node helper", self._install)
        if done.rc and any(words in said for words in _MISSING):
            return Refused(f"{self.node}: the node helper is not installed", self._install)
        return None

    def _broke(self, argv: list[str], done: Done) -> Uncertain:
        """It was started, and ended in a way that it never should."""
        last = (done.err or done.out).decode(errors="replace").strip().rpartition("\n")[2][:200]
        return Uncertain(
            f"{self.node}: the node helper did not answer `{spoken(argv)}` as it should "
            f"(exit code {done.rc}: {last or 'no words'})",
            f"if its checksum differs, {self._install}",
        )

    def _understood(self, read: Callable[[Mapping[str, Any]], T], answer: Mapping[str, Any]) -> T:
        try:
            return read(answer)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Refused(
                f"{self.node}: the node helper answers in another version's words ({error!r})", self._install
            ) from error


def votes_in(word: Word) -> Votes:
    """Raises Refused where there are none: no votes are not zero votes."""
    if word.votes is None:
        node = word.status.node
        raise Refused(f"{node}: corosync tells no votes", f"`pvecm status` on {node}")
    return word.votes


def _parsed(out: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(out)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def _images(row: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    return {str(brick): tuple(map(str, names)) for brick, names in row["images"].items() if names}


def _status(row: Mapping[str, Any]) -> NodeStatus:
    return NodeStatus(
        node=row["node"],
        checksum=row["checksum"],
        boot_id=row["boot_id"],
        uptime=float(row["uptime"]),
        kernel=row["kernel"],
        boot_kernel=row["boot_kernel"],
        services=dict(row["services"]),
        corosync_version=int(row["corosync_version"]),
        dpkg_broken=row["dpkg_broken"],
        apt_busy=row["apt_busy"],
        clock=float(row["clock"]),
        gluster_mounts=tuple(row["gluster_mounts"]),
    )


def _votes(row: Mapping[str, Any]) -> Votes:
    votes = row["votes"]
    return Votes(dict(votes["nodes"]), int(votes["expected"]), int(votes["quorum"]), int(votes["qdevice"]))


def _unit(row: Mapping[str, Any]) -> UnitState:
    return UnitState(bool(row["began"]), row["exit"], row["tail"], row["trouble"], row["hint"])


def _copies(row: Mapping[str, Any]) -> Copies:
    return Copies(row["gfid"], tuple(row["entries"]), row["mark"], tuple(_side(copy) for copy in row["copies"]))


def _side(row: Mapping[str, Any]) -> Side:
    return Side(
        brick=row["brick"],
        node="",
        size=int(row["size"]),
        modified=float(row["modified"]),
        changed=float(row["changed"]),
        changelog={brick: (data, meta, entry) for brick, (data, meta, entry) in row["changelog"].items()},
        shards=int(row["shards"]),
    )


def helper_of(node: str, helpers: Mapping[str, Helper], settings: ClusterSettings) -> Helper:
    if node not in helpers:
        raise Refused(f"there is no node {node} in the settings of {settings.name}")
    return helpers[node]


def first_to_answer(helpers: Iterable[Helper], ask: Callable[[Helper], T]) -> T:
    """The first one's answer, or the next one's if there was no connection (so that nothing happened)."""
    silent: list[str] = []
    for helper in helpers:
        try:
            return ask(helper)
        except Unreachable as error:
            silent.append(str(error))
    raise Unreachable("; ".join(silent))
