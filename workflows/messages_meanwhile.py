"""What is said while a node or the storage is waited for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.port import Saying
from workflows.messages import bullets, named, note, paged, some, span, with_hint
from workflows.settings import ManagedCluster


def groups_fell(managed: ManagedCluster, node: str, waits: str, reasons: Sequence[str], page: bool) -> Saying:
    """`page`: nobody else was woken for it."""
    text = f"🚨 {node}: I wait for {waits}, and meanwhile too few of a guest group serve.\n{bullets(reasons)}"
    return paged(managed, text) if page else note(text)


def packages_not_read(node: str, why: str) -> Saying:
    """`why`: apt's own trouble, with what to do about it."""
    trouble = why.removeprefix(f"{node}: ")
    return note(f"⏳ {node}: I cannot read what it needs: {trouble}. Nothing is begun there; I ask again.")


def starts_with_node(node: str, guests: Sequence[Sequence[Any]]) -> Saying:
    """`guests`: id and name of each."""
    who = some([named(name, guest) for guest, name in guests])
    start, them = ("is off and starts", "it") if len(guests) == 1 else ("are off and start", "them")
    return note(f"🔌 {node}: {who} {start} with the node (onboot). I did not stop {them}, and leave {them} be.")


def starts_unknown(node: str) -> Saying:
    return note(
        f"🔌 {node}: I cannot see which guests that are off start with the node (onboot); it is rebooted anyway."
    )


def groups_back(node: str, waits: bool) -> Saying:
    on = "; I wait on" if waits else ""
    return note(f"✅ {node}: enough members of every guest group serve again{on}.")


def heal_stands(node: str, seen: Mapping[str, Any]) -> Saying:
    """`seen`: {"state", "lasts", "idle", "volumes", "names"} of the heal; idle: no daemon is at work on anything."""
    names = f"\nStill to be healed: {some(seen['names'])}." if seen["names"] else ""
    text = f"🐢 {node}: the heal has not come further for {span(seen['lasts'])}: {seen['state']}."
    if not seen["idle"]:
        return note(f"{text} It is at work: a large image counts as one entry until all of it is healed.{names}")
    missed = "No self-heal daemon is at work; one that missed its try looks again after `cluster.heal-timeout`"
    starts = " and ".join(f"`gluster volume start {volume} force`" for volume in seen["volumes"])
    hint = f"{look_again(seen['volumes'])}; if it says that a daemon does not run, {starts} starts it. I order neither"
    return note(with_hint(f"{text} {missed} (10 minutes by default).{names}", hint))


def stood(seconds: float, volumes: Sequence[str]) -> str:
    return f"not further for {span(seconds)}, and no daemon is at work ({look_again(volumes)})"


def look_again(volumes: Sequence[str]) -> str:
    """An index heal."""
    orders = " and ".join(f"`gluster volume heal {volume}`" for volume in volumes)
    return f"{orders} on any node makes the daemons look again at once, and is harmless"


# ---- what helps, when it was waited for in vain ----------------------------------------------------------------------


def brings_back(managed: ManagedCluster, node: str) -> str:
    cycle = f", or `/restore power-cycle {node}`" if managed.nodes[node].power_cycle else ""
    return f"look at the console of {node} (its IPMI){cycle}: it may stand at a prompt, or before a file system check"


def starts_bricks(managed: ManagedCluster, node: str) -> str:
    volumes = " or ".join(f"`gluster volume start {name} force`" for name in managed.gluster.volumes or ("VOLUME",))
    return f"`journalctl -u glusterd` on {node} tells why; {volumes} starts bricks that do not run"


def mends_dpkg(node: str) -> str:
    return f"what apt left half done is finished by `dpkg --configure -a`, then `apt-get -f install`, on {node}"


def shows_ha(node: str) -> str:
    return f"`ha-manager status` tells what HA does, and `systemctl status pve-ha-lrm` on {node} whether that heeds it"
