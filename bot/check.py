"""`roundsman check`: a table of all that must be there before the first night, and what would add what is missing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bot.settings import Settings
from cluster.checks import CheckLine


def show(path: Path, settings: Settings) -> bool:
    """Print every line as it becomes known, a table a subject. True if nothing is missing."""
    console = Console()
    good = _table(console, f"Settings: {path}", list(check_files(settings)))
    from bot.check_slack import check_slack

    good &= _table(console, "Slack", list(check_slack(settings)))
    from cluster.checks import check_cluster

    for managed in settings.clusters:
        good &= _table(console, f"Cluster {managed.name}", list(check_cluster(managed)))
    console.print("Everything is there." if good else "Something is missing: see the lines marked ✗.")
    return good


def check_files(settings: Settings) -> Iterator[CheckLine]:
    """What the settings name on this machine: keys, certificates, the database's folder."""
    yield CheckLine(
        True, "file", f"{len(settings.clusters)} clusters: {', '.join(c.name for c in settings.clusters)}", ""
    )
    for managed in settings.clusters:
        yield _readable(f"{managed.name}: ssh.key_file", managed.ssh.key_file, "ssh-keygen -t ed25519 -N '' -f")
        if managed.api.ca_file:
            remedy = "copy /etc/pve/pve-root-ca.pem of a node to"
            yield _readable(f"{managed.name}: api.ca_file", managed.api.ca_file, remedy)
    yield _writable_folder(Path(settings.store.path).absolute().parent)


def _readable(subject: str, file: str, remedy: str) -> CheckLine:
    if os.access(file, os.R_OK):
        return CheckLine(True, subject, f"{file} is readable", "")
    word = "cannot be read by this user" if os.path.exists(file) else "is not there"
    return CheckLine(False, subject, f"{file} {word}", f"{remedy} {file}, readable for the user that runs roundsman")


def _writable_folder(folder: Path) -> CheckLine:
    if folder.is_dir() and os.access(folder, os.W_OK):
        return CheckLine(True, "store.path", f"{folder} is writable", "")
    word = "is not writable for this user" if folder.exists() else "is not there"
    remedy = f"install -d -m 0700 -o USER {folder}, for the user that runs roundsman"
    return CheckLine(False, "store.path", f"{folder} {word}", remedy)


def _table(console: Console, title: str, lines: list[CheckLine]) -> bool:
    table = Table(title=title, title_justify="left", show_header=False, box=None, pad_edge=False)
    for line in lines:
        mark = Text("✓", "green") if line.ok else Text("✗", "red")
        remedy = Text(f"\n→ {line.remedy}", "bold") if line.remedy else Text()
        table.add_row(mark, Text(line.subject), Text(line.text) + remedy)
    console.print(table)
    return all(line.ok for line in lines)
