"""What the settings name and the cluster does not have: a mistyped guest guards nothing, a mistyped storage is met by
night. Pure; each finding is half a sentence with what mends it."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from cluster.settings import ClusterSettings

Finding = tuple[str, str]
"""What is wrong, and what to change."""


def guests_named(settings: ClusterSettings) -> list[tuple[str, str, int]]:
    """(who names it, the setting, guest). Those of the ways in are told where these are."""
    return [
        *((f"the group {group.name}", "groups[].guests", guest) for group in settings.groups for guest in group.guests),
        *(("backups", "backups.critical", guest) for guest in settings.backups.critical),
        *(("cannot_move", "cannot_move.guests", guest) for guest in settings.cannot_move.guests),
        *((f"the probe {probe.name}", "probes[].guest", probe.guest) for probe in settings.probes if probe.guest),
    ]


def unknown_guests(settings: ClusterSettings, known: Collection[int]) -> Iterator[Finding]:
    for who, setting, guest in guests_named(settings):
        if guest not in known:
            yield (
                f"{who} names guest {guest}, which this cluster does not have",
                f"correct {setting}; `pvesh get /cluster/resources --type vm` on a node lists all",
            )


def storages_named(settings: ClusterSettings) -> list[tuple[str, str]]:
    """(the setting, storage)."""
    backups = settings.backups
    chosen = [("backups.storage", backups.storage)] if backups.storage else []
    return [*chosen, *(("backups.on_gluster", storage) for storage in backups.on_gluster)]


def unknown_storages(settings: ClusterSettings, known: Collection[str]) -> Iterator[Finding]:
    for setting, storage in storages_named(settings):
        if storage not in known:
            yield f"there is no storage {storage}; there are {', '.join(sorted(known)) or 'none'}", f"correct {setting}"


def unknown_volumes(settings: ClusterSettings, known: Collection[str]) -> Iterator[Finding]:
    for volume in settings.gluster.volumes:
        if volume not in known:
            there = ", ".join(sorted(known)) or "none"
            yield f"there is no volume {volume}; there are {there}", "correct gluster.volumes"
