"""What must hold between settings, beyond what each one says for itself."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from zoneinfo import ZoneInfo, available_timezones

from base.spelling import meant
from bot.credentials import pve_variable
from bot.http_settings import HttpSettings
from bot.settings_file import Place, Problem
from cluster.guest_settings import GuestGroup
from cluster.serving import trouble as health_trouble
from cluster.settings import JumpHost, NodeSettings, PathSettings, Window
from cluster.watchlist import troubles
from workflows.settings import ManagedCluster

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LEAST_SILENCE_S = 2.0
KEY_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")


def broken_rules(clusters: Sequence[tuple[int, ManagedCluster]]) -> Iterator[Problem]:
    """Every broken rule. The clusters come with their place in the file."""
    yield from _alike(clusters, "name", lambda cluster: pve_variable(cluster.name))
    yield from _alike(clusters, "channel", lambda cluster: cluster.channel)
    for index, cluster in clusters:
        for rule in (_channel, _api, _people, _limits, _nodes, _gluster, _groups, _backups, _windows, _probes, _paths):
            yield from (Problem(("clusters", index, *found.place), found.text) for found in rule(cluster))


def _alike(
    clusters: Sequence[tuple[int, ManagedCluster]], key: str, mark: Callable[[ManagedCluster], str]
) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for index, cluster in clusters:
        before = first.setdefault(mark(cluster), index)
        if before != index:
            yield Problem(("clusters", index, key), f"is taken by clusters[{before}]; each needs its own")


def _channel(cluster: ManagedCluster) -> Iterator[Problem]:
    if not re.fullmatch(r"[CG][A-Z0-9]+", cluster.channel):
        yield Problem(("channel",), "is not a channel id (C...); Slack shows it at the end of the channel's About page")


def _api(cluster: ManagedCluster) -> Iterator[Problem]:
    if not re.fullmatch(r"[^@!\s]+@[^@!\s]+![^@!=\s]+", cluster.api.token_id):
        yield Problem(("api", "token_id"), "must be USER@REALM!NAME, such as roundsman@pve!bot, without the secret")


def _backups(cluster: ManagedCluster) -> Iterator[Problem]:
    backups = cluster.backups
    if backups.make_missing and not backups.storage:
        yield Problem(("backups", "storage"), "is needed for make_missing: which storage takes the backups?")
    if backups.storage and backups.storage in backups.on_gluster:
        text = "lies on the volume itself (on_gluster), where a backup does not count; take another storage"
        yield Problem(("backups", "storage"), text)


def _people(cluster: ManagedCluster) -> Iterator[Problem]:
    people = cluster.people
    for role, ids in (("operators", people.operators), ("approvers", people.approvers)):
        yield from _ids(role, ids)
    groups = any(who.startswith("S") for who in people.approvers)
    if not groups and people.approvals_needed > len(set(people.approvers)):
        yield Problem(
            ("people", "approvals_needed"),
            f"asks for {people.approvals_needed}, of {len(set(people.approvers))} approvers",
        )


def _ids(role: str, ids: Iterable[str]) -> Iterator[Problem]:
    for place, who in enumerate(ids):
        if not re.fullmatch(r"[UWS][A-Z0-9]+", who):
            text = "is not a Slack id (U... of a person, S... of a user group); a profile's menu has Copy member ID"
            yield Problem(("people", role, place), text)


def _limits(cluster: ManagedCluster) -> Iterator[Problem]:
    limits = cluster.limits
    for name in type(limits).model_fields:
        if name != "watch" and getattr(limits, name) <= 0:
            yield Problem(("limits", name), "must be longer than nothing: a wait of 0 never ends well")
    if limits.approval_valid < limits.approval_wait:
        yield Problem(
            ("limits", "approval_valid"), "is shorter than approval_wait: an approval would die while asked for"
        )


def _nodes(cluster: ManagedCluster) -> Iterator[Problem]:
    for name, node in cluster.nodes.items():
        if trouble := _host_key_trouble(node):
            yield Problem(("nodes", name, "host_key"), trouble)
        fingerprint = node.fingerprint.replace(":", "")
        if fingerprint and not re.fullmatch(r"[0-9A-Fa-f]{64}", fingerprint):
            yield Problem(("nodes", name, "fingerprint"), "is not a SHA-256 fingerprint: 32 pairs of hex digits")


def _host_key_trouble(node: NodeSettings | JumpHost) -> str:
    words = node.host_key.split()
    if len(words) > 1 and words[0] not in KEY_TYPES and words[1] in KEY_TYPES:
        return f"begins with the host's name; leave it away and begin with {words[1]}"
    if len(words) < 2 or words[0] not in KEY_TYPES:
        return f'must look like "{KEY_TYPES[0]} AAAA..."; ssh-keyscan -t ed25519 {node.address} prints it'
    try:
        base64.b64decode(words[1], validate=True)
    except binascii.Error:
        return "is cut off or mistyped: what follows the key's type is not base64"
    return ""


def _gluster(cluster: ManagedCluster) -> Iterator[Problem]:
    for place, node in enumerate(cluster.gluster.nodes):
        if node not in cluster.nodes:
            yield Problem(("gluster", "nodes", place), f"is not one of the nodes: {', '.join(cluster.nodes)}")


def _groups(cluster: ManagedCluster) -> Iterator[Problem]:
    names = [group.name for group in cluster.groups]
    for place, group in enumerate(cluster.groups):
        if group.name in names[:place]:
            yield Problem(("groups", place, "name"), "is the name of another group too")
        yield from (Problem(("groups", place, *found.place), found.text) for found in _group(group))
        for guest, health in group.health.items():
            if trouble := health_trouble(health, cluster):
                yield Problem(("groups", place, "health", guest, "tcp" if health.tcp else "ping"), trouble)


def _group(group: GuestGroup) -> Iterator[Problem]:
    for place, guest in enumerate(group.guests):
        if guest in group.guests[:place]:
            yield Problem(("guests", place), f"guest {guest} stands twice in this group")
    if group.keep_running > len(set(group.guests)):
        yield Problem(("keep_running",), f"asks for {group.keep_running}, of {len(set(group.guests))} guests")


def _paths(cluster: ManagedCluster) -> Iterator[Problem]:
    names = [path.name for path in cluster.paths]
    for place, path in enumerate(cluster.paths):
        if path.name in names[:place]:
            yield Problem(("paths", place, "name"), "is the name of another path too")
        yield from (Problem(("paths", place, *found.place), found.text) for found in _path(path))


def _path(path: PathSettings) -> Iterator[Problem]:
    """What belongs to another kind of path would be passed over in silence."""
    if path.kind == "jump" and not path.jumps:
        yield Problem(("jumps",), "is missing: a path of kind jump names the jump hosts that it goes through")
    if path.kind != "jump" and path.jumps:
        yield Problem(("jumps",), f"is not used by a path of kind {path.kind}; did you mean kind: jump?")
    if path.kind != "socks" and path.proxy:
        yield Problem(("proxy",), f"is not used by a path of kind {path.kind}; did you mean kind: socks?")
    if path.kind == "socks" and not _is_proxy(path):
        yield Problem(("proxy",), "must look like HOST:PORT, such as 127.0.0.1:1080")
    hosts = [(jump.address, jump.port) for jump in path.jumps]
    for place, jump in enumerate(path.jumps):
        if (jump.address, jump.port) in hosts[:place]:
            yield Problem(("jumps", place, "address"), "stands twice: a jump host is not reached through itself")
        if trouble := _host_key_trouble(jump):
            yield Problem(("jumps", place, "host_key"), trouble)
    if path.silence < LEAST_SILENCE_S:
        text = f"is shorter than {LEAST_SILENCE_S:g} s: a slow line would be taken for a dead one"
        yield Problem(("silence",), text)


def _is_proxy(path: PathSettings) -> bool:
    try:
        return bool(path.socks())
    except ValueError:
        return False


def _windows(cluster: ManagedCluster) -> Iterator[Problem]:
    for place, window in enumerate(cluster.windows):
        yield from (Problem(("windows", place, *found.place), found.text) for found in _window(window))


def _window(window: Window) -> Iterator[Problem]:
    for place, day in enumerate(window.days):
        if day not in DAYS:
            yield Problem(("days", place), f"is not a day; the days are {', '.join(DAYS)}")
    for key, hour in (("start", window.start), ("end", window.end)):
        if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d|24:00", hour):
            yield Problem((key,), "is not a time of day, such as 22:30")
    if window.start == window.end:
        yield Problem(("end",), "is the same as start: a window of no time")
    yield from bad_zone(("zone",), window.zone)


def _probes(cluster: ManagedCluster) -> Iterator[Problem]:
    if cluster.probing.fails > cluster.probing.of:
        yield Problem(("probing", "of"), f"is less than fails: {cluster.probing.fails} looks of {cluster.probing.of}")
    for place, key, text in troubles(cluster):
        yield Problem(("probes", place, key), text)


def broken_http_rules(http: HttpSettings, clusters: Sequence[str]) -> Iterator[Problem]:
    """`clusters`: names of those that the settings know."""
    names = [source.name for source in http.sources]
    for index, source in enumerate(http.sources):
        if source.name in names[:index]:
            yield Problem(("http", "sources", index, "name"), "is the name of another source too")
        for place, name in enumerate(source.clusters):
            if name not in clusters:
                text = f"is not one of the clusters: {', '.join(clusters)}"
                yield Problem(("http", "sources", index, "clusters", place), text)


def unknown_policies(clusters: Sequence[tuple[int, ManagedCluster]], names: Sequence[str]) -> Iterator[Problem]:
    """A mistyped policy would wake people by the first one. `names`: of oncall.policies."""
    for index, cluster in clusters:
        used: list[tuple[Place, str]] = [(("outages", "policy"), cluster.outages.policy)]
        used.append((("probing", "policy"), cluster.probing.policy))
        used += [(("probes", place, "policy"), probe.policy) for place, probe in enumerate(cluster.probes)]
        for key, policy in used:
            if policy and policy not in names:
                near = meant(policy, names, f"; there are {', '.join(names)}")
                yield Problem(("clusters", index, *key), f"there is no policy {policy} in oncall.policies{near}")


def bad_zone(place: Place, name: str) -> Iterator[Problem]:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        near = meant(name, available_timezones(), ", such as Europe/Berlin")
        yield Problem(place, f"is not a time zone{near}")
