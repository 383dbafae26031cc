"""What is looked at from outside: the probes that the settings list, and those that nobody has to write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from base.spelling import meant
from cluster.probe_settings import Pace, ProbeSettings, ProbingSettings
from cluster.probes import kinds
from cluster.probes._common import Probe, with_port
from cluster.settings import ClusterSettings

GLUSTER, PROCESSES, TCP, GUEST, SERVING = "gluster", "gluster_processes", "tcp", "guest", "serving"
GREETING = "SSH-"


def watchlist(settings: ClusterSettings) -> tuple[Probe, ...]:
    """All probes of a cluster; one of the settings takes the place of the default one of its name."""
    written = [_written(probe) for probe in settings.probes]
    names = {probe.name for probe in written}
    return (*(probe for probe in _defaults(settings) if probe.name not in names), *written)


def troubles(settings: ClusterSettings) -> Iterator[tuple[int, str, str]]:
    """(which probe of the settings, which of its keys, what is wrong: half a sentence)."""
    known = {probe.name: probe for probe in watchlist(settings)}
    for index, probe in enumerate(settings.probes):
        yield from ((index, key, text) for key, text in _trouble(settings, known, index, probe))


def _trouble(
    settings: ClusterSettings, known: Mapping[str, Probe], index: int, written: ProbeSettings
) -> Iterator[tuple[str, str]]:
    if written.name in [probe.name for probe in settings.probes[:index]]:
        yield "name", "is the name of another probe too"
    if written.fails > written.of:
        yield "of", f"is less than fails: {written.fails} of {written.of} looks can never fail"
    if written.timeout >= written.every:
        yield "timeout", "must be shorter than every: a look must end before the next one"
    if written.node and written.node not in settings.nodes:
        yield "node", f"is not one of the nodes: {', '.join(settings.nodes)}"
    if written.kind not in kinds():
        yield "kind", f"is no kind of probe{_meant(written.kind, kinds())}"
    elif trouble := kinds()[written.kind].trouble(known[written.name], settings):
        yield "target", trouble
    for parent in written.parents:
        if parent not in known:
            yield "parents", f'there is no probe "{parent}"{_meant(parent, known)}'
    if _leads_back(written.name, known):
        yield "parents", "leads back to the probe itself"


def _meant(word: str, known: Mapping[str, object]) -> str:
    return meant(word, known, f"; there are {', '.join(known)}")


def _leads_back(name: str, known: Mapping[str, Probe]) -> bool:
    ways, seen = list(known[name].parents), set[str]()
    while ways:
        parent = ways.pop()
        if parent == name:
            return True
        if parent in known and parent not in seen:
            seen.add(parent)
            ways += known[parent].parents
    return False


def _written(probe: ProbeSettings) -> Probe:
    return Probe(
        name=probe.name,
        kind=probe.kind,
        target=probe.target,
        pace=probe,
        subject=probe.name,
        expect=probe.expect,
        verify=probe.verify,
        parents=probe.parents,
        node=probe.node,
        guest=probe.guest or (int(probe.target) if probe.kind in (GUEST, SERVING) and probe.target.isdigit() else 0),
        storage=probe.kind in (GLUSTER, PROCESSES),
    )


def _defaults(settings: ClusterSettings) -> Iterator[Probe]:
    """What a careful admin would write. A node that is gone is one alert: its API is reached through its SSH port. Any
    node's API can tell of any guest; while none answers, nothing is known of them, and nothing is said."""
    probing = settings.probing
    if not probing.defaults:
        return
    for name, node in settings.nodes.items():
        ssh = with_port(node.address, node.ssh_port)
        yield Probe(f"{name} ssh", TCP, ssh, probing, name, GREETING, node=name)
        api = with_port(node.address, node.api_port)
        yield Probe(f"{name} api", TCP, api, probing, f"API of {name}", parents=(f"{name} ssh",), node=name)
    slow, apis = _slow(probing, probing.every), tuple(f"{name} api" for name in settings.nodes)
    for guest in dict.fromkeys(guest for group in settings.groups for guest in group.guests):
        subject = f"guest {guest} of {_groups_of(settings, guest)}"
        yield Probe(f"guest {guest}", GUEST, str(guest), slow, subject, parents=apis, guest=guest)
        if any(guest in group.health for group in settings.groups):
            pace, way = _slow(probing, probing.serving_every), (f"guest {guest}",)
            yield Probe(f"guest {guest} serves", SERVING, str(guest), pace, subject, parents=way, guest=guest)
    if settings.gluster.enabled:
        shells = tuple(f"{name} ssh" for name in settings.gluster.nodes or settings.nodes)
        pace = _slow(probing, probing.gluster_every)
        yield Probe("gluster", GLUSTER, "", pace, "GlusterFS", parents=shells, storage=True)
        pace = _slow(probing, probing.gluster_processes_every)
        yield Probe("gluster processes", PROCESSES, "", pace, "GlusterFS", parents=("gluster",), storage=True)


def _slow(probing: ProbingSettings, every: float) -> Pace:
    """Of looks that ask the cluster itself, which answers late when it is in trouble."""
    return Pace(**{**_pace(probing), "every": every, "timeout": probing.slow_timeout})


def _pace(probing: ProbingSettings) -> dict[str, object]:
    return {name: getattr(probing, name) for name in Pace.model_fields}


def _groups_of(settings: ClusterSettings, guest: int) -> str:
    groups: Sequence[str] = [group.name for group in settings.groups if guest in group.guests]
    return ", ".join(groups)
