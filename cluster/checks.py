"""What must be there on a cluster before the first night: each line says what was found, and what adds what is missing.

Reads only, and from every node by itself: what one node answers says nothing about another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass

from cluster import gluster
from cluster.api import ClusterError
from cluster.ceph import CephApi
from cluster.facts import Guest, PathTest, WaysIn
from cluster.helper import INSTALL, Helper
from cluster.install import helper_checksum
from cluster.kin import Kin
from cluster.names import (
    Finding,
    guests_named,
    storages_named,
    unknown_guests,
    unknown_storages,
    unknown_volumes,
)
from cluster.paths import Paths, PathTests, Shell
from cluster.proxmox import Proxmox, grant
from cluster.pve import Pve, backed_up
from cluster.reach import reach, sentences, strangers
from cluster.replication import ReplicationApi
from cluster.serving import Health
from cluster.settings import ClusterSettings, PathSettings

PRIVILEGES: Mapping[str, Mapping[str, str]] = {
    "/": {"Sys.Audit": "who is online, HA"},
    "/nodes": {"Sys.Audit": "running tasks"},
    "/vms": {
        "VM.Audit": "which guests there are",
        "VM.Migrate": "draining a node",
        "VM.PowerMgmt": "shutting down and starting guests that cannot move",
        "VM.Config.Options": "switching onboot off while a guest must not start",
    },
    "/storage": {"Datastore.Audit": "storages"},
}
"""Path -> privilege -> what the bot needs it for."""

BACKUP_PRIVILEGES: Mapping[str, Mapping[str, str]] = {
    "/vms": {"VM.Backup": "seeing backups"},
    "/storage": {"Datastore.AllocateSpace": "seeing backups"},
}
"""Only where guests must have a backup: without both, Proxmox VE leaves every backup out of its lists, unsaid."""

RESTORE_PRIVILEGES: Mapping[str, Mapping[str, str]] = {
    "/vms": {
        "VM.Config.Disk": "setting a guest's disks aside before it is restored",
        "VM.Config.Network": "taking the network off a drill's copy",
        "VM.Allocate": "drills, and containers under a new id",
        "VM.GuestAgent.Audit": "hearing whether a restored guest answers",
    },
}
"""With those for backups; not asked for where the settings say that this bot restores nothing."""

AGENT_PRIVILEGES: Mapping[str, Mapping[str, str]] = {"/vms": {"VM.GuestAgent.Audit": "health probes by guest agent"}}
CEPH_PRIVILEGES: Mapping[str, Mapping[str, str]] = {"/": {"Sys.Modify": "setting noout on Ceph before a reboot"}}
REPLICATION_PRIVILEGES: Mapping[str, Mapping[str, str]] = {"/vms": {"VM.Replicate": "running ZFS replication at once"}}

NEW_IN_9: Mapping[tuple[str, str], tuple[str, str]] = {
    ("/vms", "VM.GuestAgent.Audit"): ("/vms", "VM.Monitor"),
    ("/vms", "VM.Replicate"): ("/storage", "Datastore.Allocate"),
}
"""Path and privilege -> what releases before 9 want in its place. They take no role with one that they do not know."""

WORKERS = 32


@dataclass(frozen=True, slots=True)
class CheckLine:
    """`remedy`: what to type or change, "" if nothing is missing. `careful`: nothing is, and yet it should be known."""

    ok: bool
    subject: str
    text: str
    remedy: str
    careful: bool = False


def check_cluster(settings: ClusterSettings) -> Iterator[CheckLine]:
    """The API of every node, the token's privileges, the members; then login, helper and Gluster of every node."""
    nodes = list(settings.nodes)
    with (
        ThreadPoolExecutor(WORKERS) as workers,
        closing(Paths(settings)) as paths,
        closing(Proxmox(settings, paths)) as api,
    ):
        pve = Pve(api, settings, workers.map)
        found = list(workers.map(lambda node: _api(pve, node), nodes))
        yield from found
        answering = [node for node, line in zip(nodes, found, strict=True) if line.ok]
        if answering:
            yield from _privileges(api, pve, answering[0], settings)
            yield _members(pve, answering[0], settings)
            yield from _named(api, pve, settings)
            yield from _health(Health(api, settings, workers.map), pve)
        for lines in workers.map(lambda node: list(_node(settings, paths, node)), nodes):
            yield from lines
        yield from _paths(settings, paths, api, pve, workers)


def _api(pve: Pve, node: str) -> CheckLine:
    try:
        return CheckLine(True, f"{node} API", f"Proxmox VE {pve.version(node)}", "")
    except ClusterError as error:
        return _failed(f"{node} API", error, "`systemctl status pveproxy` on it; is api_port right?")


def _besides(api: Proxmox, settings: ClusterSettings) -> Iterator[Mapping[str, Mapping[str, str]]]:
    """What only some clusters need: backups, Ceph, ZFS replication, health probes by guest agent. A node that does not
    answer has its own line already."""
    if backed_up(settings):
        yield BACKUP_PRIVILEGES
        if settings.backups.restores:
            yield RESTORE_PRIVILEGES
    if any(probe.agent for group in settings.groups for probe in group.health.values()):
        yield AGENT_PRIVILEGES
    with suppress(ClusterError):
        if CephApi(api, settings, map).read("") is not None:
            yield CEPH_PRIVILEGES
    with suppress(ClusterError):
        if ReplicationApi(api, settings, map).read(""):
            yield REPLICATION_PRIVILEGES


def _privileges(api: Proxmox, pve: Pve, entry: str, settings: ClusterSettings) -> Iterator[CheckLine]:
    try:
        granted, version = pve.permissions(entry), pve.version(entry)
    except ClusterError as error:
        yield _failed("token", error)
        return
    for path, needed in _needed([PRIVILEGES, *_besides(api, settings)], version).items():
        missing = [privilege for privilege in needed if not granted.get(path, {}).get(privilege)]
        for privilege in missing:
            text = f"{settings.api.token_id} lacks {privilege}: {needed[privilege]}"
            yield CheckLine(False, f"token on {path}", text, grant(path, privilege, settings.api.token_id))
        if not missing:
            yield CheckLine(True, f"token on {path}", ", ".join(needed), "")


def _needed(wanted: Iterable[Mapping[str, Mapping[str, str]]], version: str) -> dict[str, dict[str, str]]:
    """All of it, path by path, in the words of this release."""
    old = version.partition(".")[0] in ("7", "8")
    needed: dict[str, dict[str, str]] = {}
    for privileges in wanted:
        for path, named in privileges.items():
            for privilege, why in named.items():
                at, called = NEW_IN_9.get((path, privilege), (path, privilege)) if old else (path, privilege)
                needed.setdefault(at, {})[called] = why
    return needed


def _health(health: Health, pve: Pve) -> Iterator[CheckLine]:
    """Every health probe, asked now: one that is mistyped would hold the first run, or find nothing wrong for ever."""
    try:
        rows = health.read(pve.guests("") if health.probes_agents else (), "")
    except ClusterError as error:
        yield _failed("health probes", error)
        return
    for row in rows:
        remedy = "" if row.serves else "is the probe of `groups[].health` right, and the guest up?"
        yield CheckLine(bool(row.serves), f"health of guest {row.guest}", row.said, remedy)


def _members(pve: Pve, entry: str, settings: ClusterSettings) -> CheckLine:
    try:
        members = set(pve.members(entry))
    except ClusterError as error:
        return _failed("members", error)
    if extra := sorted(members - set(settings.nodes)):
        return CheckLine(
            False, "members", f"not in the settings: {', '.join(extra)}", f"add them to {settings.name}.nodes"
        )
    if gone := sorted(set(settings.nodes) - members):
        return CheckLine(
            False,
            "members",
            f"no member of the cluster: {', '.join(gone)}",
            f"take them out of {settings.name}.nodes; `pvecm nodes` on a node names all members",
        )
    return CheckLine(True, "members", ", ".join(sorted(members)), "")


def _named(api: Proxmox, pve: Pve, settings: ClusterSettings) -> Iterator[CheckLine]:
    """Guests and storages that the settings name. A token without the privilege is shown none, which is told above."""
    try:
        guests = {guest.id for guest in pve.guests("")}
        storages = {str(row["storage"]) for row in api.get("storage")}
    except (ClusterError, KeyError, TypeError) as error:
        yield CheckLine(False, "names", f"guests and storages could not be listed: {error}", "see the API above")
        return
    if guests:
        named = sorted({guest for _, _, guest in guests_named(settings)})
        yield from _all_there("guests named", named, unknown_guests(settings, guests))
    if storages:
        chosen = sorted({storage for _, storage in storages_named(settings)})
        yield from _all_there("storages named", chosen, unknown_storages(settings, storages))


def _all_there(subject: str, named: Sequence[object], wrong: Iterable[Finding]) -> Iterator[CheckLine]:
    found = [CheckLine(False, subject, text, remedy) for text, remedy in wrong]
    yield from found
    if named and not found:
        yield CheckLine(True, subject, f"{', '.join(map(str, named))}: all are there", "")


def _node(settings: ClusterSettings, paths: Paths, node: str) -> Iterator[CheckLine]:
    """Login and helper; and what only the helper tells. Without it nothing else can be asked."""
    helper = Helper(paths.shells[node], settings)
    line = _helper(helper, settings)
    yield line
    if line.ok:
        yield from _key(paths.shells[node], settings)
        yield _votes(helper)
        peers = list(settings.gluster.nodes or settings.nodes) if settings.gluster.enabled else []
        if node in peers:
            yield _peers(helper)
        if peers[:1] == [node] and settings.gluster.volumes:
            yield from _volumes(helper, settings)


def _paths(
    settings: ClusterSettings, paths: Paths, api: Proxmox, pve: Pve, workers: ThreadPoolExecutor
) -> Iterator[CheckLine]:
    """A line for each path, what dies with what, and whether that is enough. A node to which none leads is told of
    above, and says nothing about a path."""
    with closing(PathTests(settings, paths, api, clock=lambda: 0.0)) as tests:
        tried = tests.run()
    reached = [node for node in settings.nodes if any(test.alive for test in tried if test.node == node)]
    if not reached:
        yield CheckLine(
            False,
            "paths",
            "none could be judged: over none of them a node answers both SSH and API",
            "mend what is said above first",
        )
        return
    for path in settings.ways:
        yield _path(settings, path, [test for test in tried if test.path == path.name and test.node in reached])
    try:
        guests = pve.guests("")
    except ClusterError:
        guests = ()
    depends, home = Kin(settings, api.get, workers.map).look(guests)
    ways = WaysIn(tried, depends, {}, home)
    yield from _shared(settings, ways, guests)
    yield _enough(settings, ways, reached)


def _shared(settings: ClusterSettings, ways: WaysIn, guests: tuple[Guest, ...]) -> Iterator[CheckLine]:
    """What dies with what. Where no guest is shown, what the settings say of them is neither right nor wrong."""
    if not guests and any(path.guests for path in settings.ways):
        yield CheckLine(
            False, "paths", "what they share is not known: no guest is shown", "see the lines of API and token above"
        )
        return
    wrong = strangers(settings, guests)
    for text in sentences(settings, ways, guests):
        remedy = wrong.get(text, "")
        yield CheckLine(not remedy, "paths", text, remedy, careful=not remedy)


def _path(settings: ClusterSettings, path: PathSettings, tests: list[PathTest]) -> CheckLine:
    alive = [test for test in tests if test.alive]
    slowest = f", slowest {max(test.latency for test in alive):.2f} s" if alive else ""
    text = f"answers at {len(alive)} of {len(tests)} nodes{slowest}"
    dead = next((test for test in tests if not test.alive), None)
    if dead is None:
        return CheckLine(True, f"path {path.name}", text, "")
    return CheckLine(
        False, f"path {path.name}", f"{text}; {dead.node}: {dead.why}", dead.hint or _try(settings, path, dead)
    )


def _try(settings: ClusterSettings, path: PathSettings, dead: PathTest) -> str:
    """What to type here to see the same, and where the settings say otherwise."""
    if path.jumps:
        jump = path.jumps[0]
        line = f"ssh -p {jump.port} -i {jump.key_file or settings.ssh.key_file} {jump.user}@{jump.address}"
        return f"`{line}` from here; is paths.{path.name}.jumps[0] right, is the box on, does its line carry?"
    node = settings.nodes[dead.node]
    return f"`ping {node.address}` from here; is nodes.{dead.node}.address right?"


def _enough(settings: ClusterSettings, ways: WaysIn, nodes: list[str]) -> CheckLine:
    """As the gate will judge it, when no node is down."""
    found = reach(settings, ways, nodes, frozenset())
    least = min(found, key=lambda node: found[node].count)
    count, needed = found[least].count, settings.paths_required
    few = "1 way leads" if count == 1 else f"{count} ways that share nothing lead"
    text = f"{few} to {least}; {needed} {'is' if needed == 1 else 'are'} needed"
    if count < needed:
        dead = ", ".join(found[least].why)
        mend = f"mend {dead}, see above" if dead else "add another way in to `paths`, over another line"
        return CheckLine(False, "paths", text, f"{mend}; or set paths_required: {count} if that must do")
    if bound := [node for node in found if not found[node].free]:
        text = f"every one to {bound[0]} goes through this very cluster, and dies with it"
        return CheckLine(False, "paths", text, "add a jump host on another line to `paths`")
    return CheckLine(True, "paths", text, "")


def _helper(helper: Helper, settings: ClusterSettings) -> CheckLine:
    subject = f"{helper.node} helper"
    try:
        found = helper.status()
    except ClusterError as error:
        return _failed(subject, error, "is it on, does its sshd answer, is its address right?")
    if found.checksum != helper_checksum():
        remedy = INSTALL.format(cluster=settings.name, node=helper.node)
        return CheckLine(False, subject, f"another version ({found.checksum[:12]}), or altered", remedy)
    return CheckLine(True, subject, f"{settings.ssh.user} runs it, {found.checksum[:12]}", "")


def _key(shell: Shell, settings: ClusterSettings) -> Iterator[CheckLine]:
    """A forced command hands every order to the helper, which does not know this one; a shell runs it."""
    with suppress(ClusterError):
        if shell.run(["true"], settings.ssh.timeout).rc == 0:
            remedy = INSTALL.format(cluster=settings.name, node=shell.name)
            text = "good for a shell as well: it has no forced command in authorized_keys"
            yield CheckLine(True, f"{shell.name} key", text, remedy, careful=True)


def _votes(helper: Helper) -> CheckLine:
    subject = f"{helper.node} quorum"
    try:
        votes = helper.votes()
    except ClusterError as error:
        return CheckLine(False, subject, f"its votes cannot be read ({error})", "`pvecm status` on it")
    device = f", {votes.qdevice} of a QDevice" if votes.qdevice else ""
    return CheckLine(True, subject, f"{votes.quorum} of {votes.expected} votes needed{device}", "")


def _peers(helper: Helper) -> CheckLine:
    subject = f"{helper.node} Gluster"
    try:
        peers = gluster.pool_list(helper.gluster("pool-list"), helper.node)
    except ClusterError as error:
        return _failed(subject, error)
    away = [peer.host for peer in peers if not peer.connected or peer.state != gluster.IN_CLUSTER]
    if away:
        return CheckLine(False, subject, f"peers that are away: {', '.join(away)}", "`gluster peer status` on it")
    return CheckLine(True, subject, f"{len(peers)} peers, all connected", "")


def _volumes(helper: Helper, settings: ClusterSettings) -> Iterator[CheckLine]:
    try:
        known = {volume.name for volume in gluster.volume_info(helper.gluster("volume-info"), helper.node)}
    except ClusterError as error:
        yield _failed("volumes named", error)
        return
    yield from _all_there("volumes named", settings.gluster.volumes, unknown_volumes(settings, known))


def _failed(subject: str, error: ClusterError, remedy: str = "") -> CheckLine:
    return CheckLine(False, subject, str(error), error.hint or remedy)
