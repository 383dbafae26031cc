"""What can be found out at once of a fresh outage, told in its thread by a run of its own: machines that are in trouble
answer slowly, and the ladder must not wait for them."""

from __future__ import annotations

from collections.abc import Mapping

from cluster.api import ClusterError
from engine.port import Plain, Run
from store.api import RunRow
from workflows import messages_outage as messages
from workflows.messages import host
from workflows.phases import UPGRADE
from workflows.picture import state_of, wait_of
from workflows.picture_restore import WORKFLOWS
from workflows.site import Site

KNOWN = "outage_known"
"""The name of this workflow."""


def ask_what_is_known(site: Site, outage: str) -> None:
    """Start it; twice is harmless."""
    now, cluster = site.clock(), site.managed.name
    args = {"cluster": cluster, "outage": outage}
    site.store.start_run(RunRow(f"{outage}.known", KNOWN, cluster, args, "active", now, "roundsman", now))


def known(run: Run, site: Site, args: Mapping[str, Plain]) -> Plain:
    """What can be found out at once, into the outage's thread: guests that do not run, which way in still works, the
    last run, and what else goes on."""

    def tell() -> None:
        guests, hint = _guests(site)
        message = messages.known([guests, _paths(site), *_last_run(site), *_beside(site)], hint).plain()
        site.store.put_out(args["outage"], "known", message, site.clock())

    run.step("tell", tell)
    return {}


def _guests(site: Site) -> tuple[str, str]:
    """Those that do not run; and what to type for the first of them that belongs to a group."""
    try:
        guests = site.cluster.guests()
    except ClusterError as silent:
        return f"Proxmox VE does not answer: {host(str(silent))}", ""
    down = [guest for guest in guests if not guest.running and not guest.template]
    running = sum(guest.running for guest in guests)
    grouped = {member for group in site.managed.groups for member in group.guests}
    hint = next((messages.way_back(guest) for guest in down if guest.id in grouped), "")
    return messages.guests_known(running, down), hint


def _paths(site: Site) -> str:
    """Tried now: the last round of tests may be from before the trouble."""
    return messages.ways_in([path.name for path in site.managed.ways], site.cluster.test_paths().tests)


def _last_run(site: Site) -> list[str]:
    for row in site.store.runs(cluster=site.managed.name, workflow=UPGRADE, limit=1):
        ago = site.clock() - (row.finished_at or row.created_at)
        state = state_of(row, wait_of(row))
        return [f"the last run, `{row.id}` by <@{row.created_by}>, {messages.last_run(state, ago)}"]
    return ["no run has touched this cluster yet"]


def _beside(site: Site) -> list[str]:
    """Restores, backups and drills: one of them may be why a guest is down, and a drill's copy has its guest's name."""
    rows = site.store.runs(cluster=site.managed.name, state="active")
    ids = [row.id for row in rows if row.workflow in WORKFLOWS]
    return [messages.goes_on(ids)] if ids else []
