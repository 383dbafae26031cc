"""`roundsman`: the commands for a shell. What a fault of the night or of the settings makes impossible is told as a
sentence, never as a traceback. Imports are late, so that `roundsman --help` answers at once."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from base.visible import visible

if TYPE_CHECKING:
    from bot.settings import Settings
    from workflows.settings import ManagedCluster

PLACES = (Path("roundsman.yaml"), Path("/etc/roundsman/roundsman.yaml"))
"""Where the settings are looked for when nobody says."""
LONGEST_PLAN_S = 370 * 86400.0


class Fault(click.ClickException):
    """A sentence and exit code 2, so that it cannot be taken for a verdict of `gates`."""

    exit_code = 2

    def format_message(self) -> str:
        return visible(super().format_message())


class Told(click.Group):
    """Tells what may be expected to go wrong in one sentence."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except _expected() as error:
            hint = getattr(error, "hint", "")
            raise Fault(f"{error}\nHint: {hint}" if hint else str(error)) from error
        except PermissionError as error:  # an installed bot keeps its settings, secrets and database to itself
            raise Fault(f"{error.filename}: permission denied; look as root (docs/install.md, 6)") from error


def _expected() -> tuple[type[Exception], ...]:
    """Only asked for when something was raised: these imports cost nothing on the way that works."""
    from bot.settings import SettingsError
    from cluster.api import ClusterError
    from store.api import SecondProcess, StoreError

    return SettingsError, ClusterError, StoreError, SecondProcess


@click.group(cls=Told, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--settings",
    "path",
    type=click.Path(path_type=Path),
    envvar="ROUNDSMAN_SETTINGS",
    help="The settings file. [default: $ROUNDSMAN_SETTINGS, else ./roundsman.yaml, else /etc/roundsman/roundsman.yaml]",
)
@click.version_option(package_name="roundsman")
@click.pass_context
def main(ctx: click.Context, path: Path | None) -> None:
    """Walks Proxmox VE clusters node by node, and never leaves one before it has healed."""
    ctx.obj = path or next((place for place in PLACES if place.exists()), PLACES[-1])


def _tell(text: str, **how: Any) -> None:
    click.echo(visible(text), **how)


def _load(path: Path, *need: str) -> Settings:
    from bot.logs import hush
    from bot.settings import load

    hush()

    return load(path, os.environ, need)


def _managed(settings: Settings, name: str) -> ManagedCluster:
    """The cluster of that name, or a sentence with the name that was meant."""
    from base.spelling import meant

    clusters = {managed.name: managed for managed in settings.clusters}
    if name not in clusters:
        raise Fault(f'no cluster "{name}"' + meant(name, clusters, f"; known: {', '.join(clusters)}"))
    return clusters[name]


def _nodes(managed: ManagedCluster, chosen: Sequence[str]) -> list[str]:
    """The chosen nodes, or all of them."""
    if unknown := [node for node in chosen if node not in managed.nodes]:
        raise Fault(f"{managed.name} has no node {', '.join(unknown)}; known: {', '.join(managed.nodes)}")
    return list(chosen or managed.nodes)


# ---- the service -------------------------------------------------------------------------------------------------


@main.command()
@click.pass_obj
def run(path: Path) -> None:
    """Run the bot until it is stopped.

    Only one at a time works on a database; a second one is refused.
    """
    settings = _load(path, "slack", "pve", "oncall")
    from bot.app import run as run_bot

    run_bot(settings)


@main.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def demo(arguments: tuple[str, ...]) -> None:
    """Play on this machine: a cluster, a Slack, the bot.

    `roundsman demo --help` lists the scenarios.
    """
    if importlib.util.find_spec("asyncssh") is None:
        raise Fault(
            "the demo needs packages that the service does not: run scripts/demo in a clone, which sets them up"
        )
    # A process of its own: no layer below imports the sandbox, and the bot meets it through sockets alone.
    os.execv(sys.executable, [sys.executable, "-m", "sandbox.play", *arguments])


# ---- looking, changing nothing -----------------------------------------------------------------------------------


@main.command()
@click.pass_obj
def check(path: Path) -> None:
    """Say what is there and what is missing.

    Reads the settings, then asks Slack, every API, every node and Gluster. Each line that is not fine names the
    privilege, the sudo line or the package that would mend it.

    Exit code: 0 all is there, 1 something is missing.
    """
    from bot.settings import SettingsError

    try:
        settings = _load(path, "slack", "pve", "oncall")
    except SettingsError as error:
        _tell(str(error), err=True)
        raise SystemExit(1) from None
    from bot.check import show

    raise SystemExit(0 if show(path, settings) else 1)


@main.command()
@click.argument("cluster")
@click.option("--node", "nodes", multiple=True, metavar="NODE", help="Only this node; may be given several times.")
@click.pass_obj
def plan(path: Path, cluster: str, nodes: tuple[str, ...]) -> None:
    """Say what a run would do, changing nothing.

    Exit code, as of `gates`: 0 nothing is in its way, 1 it would be refused or a gate is blocked, 3 no gate is blocked
    but one is unknown, or what a node needs, or the cluster does not answer. 2: nothing could be asked.
    """
    settings = _load(path, "pve")
    managed = _managed(settings, cluster)
    _nodes(managed, nodes)
    from bot import looking
    from workflows.plan import describe

    site = looking.site(managed, settings)
    with closing(site.store):
        text, verdicts = describe(site, nodes)  # where none is named, the run's own order
    _tell(text)
    raise SystemExit(looking.exit_code(verdicts))


@main.command()
@click.argument("cluster")
@click.option("--node", "nodes", multiple=True, metavar="NODE", help="Only for this node; may be given several times.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
@click.pass_obj
def gates(path: Path, cluster: str, nodes: tuple[str, ...], as_json: bool) -> None:
    """Ask every gate of CLUSTER now.

    Prints, for each node, whether it might be taken: verdict, reason and evidence.

    Exit code: 0 all passed, 1 one is blocked, 3 none is blocked but one is unknown. 2: nothing could be asked.
    """
    settings = _load(path, "pve")
    managed = _managed(settings, cluster)
    chosen = _nodes(managed, nodes)
    from bot import looking
    from workflows.plan import under_way

    site = looking.site(managed, settings)
    with closing(site.store):
        found = looking.ask(site, chosen)
        _tell(looking.as_json(managed.name, found) if as_json else looking.as_text(found, under_way(site)))
    raise SystemExit(looking.exit_code(looking.verdicts_of(found)))


@main.command()
@click.argument("name", metavar="[ROTA]", default="")
@click.option("--next", "ahead", default="14d", show_default=True, help="How far ahead: 12h, 14d.")
@click.pass_obj
def rota(path: Path, name: str, ahead: str) -> None:
    """Print who is on call when.

    The plan of the settings, with the overrides that people wrote and the calendars as the bot knows them; where no
    bot has run yet, the calendars are asked now. Gaps are told, and who would be woken in them.
    """
    settings = _load(path)
    if settings.oncall is None:
        raise Fault("the settings have no section `oncall`; docs/settings.md tells what belongs into it")
    import time

    from bot.showing_rotas import Known, as_text

    rotas = [found for found in settings.oncall.rotas if name in ("", found.name)]
    if not rotas:
        raise Fault(f'no rota "{name}"; known: {", ".join(found.name for found in settings.oncall.rotas) or "none"}')
    length = _ahead(ahead)
    with closing(Known(settings, settings.oncall, time.time)) as known:
        _tell(as_text(known, rotas, time.time(), length))


def _ahead(text: str) -> float:
    from base.settings import seconds

    try:
        found = seconds(text)
    except ValueError as error:
        raise Fault(f"--next: {error}") from error
    if not 0 < found <= LONGEST_PLAN_S:
        raise Fault("--next takes more than nothing, and 370 days at most")
    return found


@main.command()
@click.argument("run_id", metavar="RUN")
@click.pass_obj
def journal(path: Path, run_id: str) -> None:
    """Print what RUN did, waits for, and said.

    Works beside a running bot.
    """
    settings = _load(path)
    from engine.show import journal_lines
    from store.opening import read_store

    with closing(read_store(Path(settings.store.path))) as store:
        try:
            _tell("\n".join(journal_lines(store, run_id)))
        except LookupError as error:
            raise Fault(str(error.args[0])) from error


@main.command()
@click.argument("outage", metavar="OUTAGE")
@click.pass_obj
def report(path: Path, outage: str) -> None:
    """Print a post-mortem draft of OUTAGE in Markdown, from what was recorded.

    Works beside a running bot.
    """
    settings = _load(path)
    from store.opening import read_store
    from workflows.alerts import OUTAGE
    from workflows.report import markdown, read

    people = settings.oncall.people.items() if settings.oncall else ()
    names = {person.slack: name for name, person in people}
    with closing(read_store(Path(settings.store.path))) as store:
        row = store.run(outage)
        if row is None or row.workflow != OUTAGE:
            known = ", ".join(run.id for run in store.runs(workflow=OUTAGE, limit=5)) or "none yet"
            raise Fault(f"there is no outage '{outage}'; the newest are: {known}")
        _tell(markdown(read(store, row), lambda user: names.get(user, user)), nl=False)


# ---- setting up --------------------------------------------------------------------------------------------------


@main.command("install-helper")
@click.argument("cluster")
@click.option("--node", "nodes", multiple=True, metavar="NODE", help="Only on this node; may be given several times.")
@click.option("--admin-user", default="root", show_default=True, help="Login that may become root on the nodes.")
@click.option("--admin-key", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Its private key.")
@click.option("--print", "only_print", is_flag=True, help="Change nothing; print the lines to type on each node.")
@click.pass_obj
def install_helper(
    path: Path, cluster: str, nodes: tuple[str, ...], admin_user: str, admin_key: Path | None, only_print: bool
) -> None:
    """Put the node helper on the nodes of CLUSTER.

    Logs in with your own key, which is used once and kept nowhere.
    """
    managed = _managed(_load(path), cluster)
    chosen = _nodes(managed, nodes)
    if admin_key is None and not only_print:
        raise Fault("name the key of a login that may become root: --admin-key FILE; or take --print and do it by hand")
    from cluster import install

    if admin_key is None or only_print:
        _tell(install.by_hand(managed))
        return
    for node in chosen:
        _tell(f"{node}: {install.install(managed, node, admin_user, admin_key)}")


if __name__ == "__main__":
    main()
