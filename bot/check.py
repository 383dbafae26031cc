"""`roundsman check`: line by line, all that must be there before the first night, and what would add what is not."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from rich.console import Console
from rich.text import Text

from base.visible import visible
from bot.settings import Settings
from cluster.checks import CheckLine
from store.api import StoreError
from store.opening import read_store

MOST_RUNS = 1000
SUBJECT = 22
"""Characters that the name of what was checked gets, so that most answers stand in one column."""


def show(path: Path, settings: Settings) -> bool:
    """Print every line as soon as it is known. True if nothing is missing."""
    from bot.check_pagers import check_pagers
    from bot.check_probes import check_probes, check_switch
    from bot.check_slack import check_slack
    from bot.showing_rotas import check_rotas
    from cluster.checks import check_cluster

    good = [_section(f"Settings: {path}", check_files(settings)), _section("Slack", check_slack(settings))]
    good.append(_section("Paging", check_pagers(settings)))
    if settings.oncall:
        good.append(_section("Rotas", check_rotas(settings, time.time())))
    good += [_section(f"Cluster {managed.name}", check_cluster(managed)) for managed in settings.clusters]
    good += [_section(f"Probes of {m.name}", check_probes(m)) for m in settings.clusters if m.probes]
    good.append(_section("The bot itself", check_switch(settings)))
    Console().print("Everything is there." if all(good) else "Something is missing: see the lines marked ✗.")
    return all(good)


def check_files(settings: Settings) -> Iterator[CheckLine]:
    """What the settings name on this machine: keys, certificates, the database's folder."""
    names = [cluster.name for cluster in settings.clusters]
    yield CheckLine(True, "file", f"{len(names)} cluster{'s' if len(names) > 1 else ''}: {', '.join(names)}", "")
    for managed in settings.clusters:
        yield _readable(f"{managed.name}: ssh.key_file", managed.ssh.key_file, "ssh-keygen -t ed25519 -N '' -f")
        if managed.api.ca_file:
            remedy = "copy /etc/pve/pve-root-ca.pem of a node to"
            yield _readable(f"{managed.name}: api.ca_file", managed.api.ca_file, remedy)
    yield _writable_folder(Path(settings.store.path).absolute().parent)
    yield from _left_behind(settings)


def _left_behind(settings: Settings) -> Iterator[CheckLine]:
    """Runs and outages that are open, of clusters that the settings do not name: told before the bot is started so."""
    path = Path(settings.store.path)
    if not path.exists():
        return
    try:
        with closing(read_store(path)) as store:
            rows = store.runs(state="active", limit=MOST_RUNS)
    except StoreError as error:
        yield CheckLine(True, "store.path", f"open runs were not looked for: {error}", "")
        return
    known = {managed.name for managed in settings.clusters}
    for cluster, count in sorted(Counter(row.cluster for row in rows if row.cluster not in known).items()):
        text = f"{cluster} is not in the settings, and {count} of its runs and outages are open"
        yield CheckLine(False, "clusters", text, f"name {cluster} in the settings until /upgrade status shows none")


def _readable(subject: str, file: str, remedy: str) -> CheckLine:
    try:
        Path(file).read_bytes()
    except FileNotFoundError:
        remedy = f"{remedy} {file}, readable for the user that runs roundsman"
        return CheckLine(False, subject, f"{file} is not there", remedy)
    except OSError as error:
        remedy = "make it readable for the user that runs roundsman, and check as root"
        return CheckLine(False, subject, f"{file} cannot be read: {error.strerror}", remedy)
    return CheckLine(True, subject, f"{file} is readable", "")


def _writable_folder(folder: Path) -> CheckLine:
    if folder.is_dir() and os.access(folder, os.W_OK):
        return CheckLine(True, "store.path", f"{folder} is writable", "")
    word = "is not writable for this user" if folder.exists() else "is not there"
    remedy = f"install -d -m 0700 -o USER {folder}, for the user that runs roundsman"
    return CheckLine(False, "store.path", f"{folder} {word}", remedy)


def _mark(line: CheckLine) -> Text:
    if not line.ok:
        return Text("  ✗ ", "red")
    return Text("  ! ", "yellow") if line.careful else Text("  ✓ ", "green")


def _section(title: str, lines: Iterable[CheckLine]) -> bool:
    """Lines are never wrapped: a remedy is there to be copied."""
    console = Console(soft_wrap=True)
    console.print(Text(title, "bold"))
    good = True
    for line in lines:
        console.print(_mark(line) + Text(visible(f"{line.subject:<{SUBJECT}} {line.text}")))
        if line.remedy:
            console.print(Text(visible(f"    → {line.remedy}"), "bold"))
        good &= line.ok
    return good
