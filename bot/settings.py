"""The settings: one YAML file, secrets from the environment. `load` finds every fault at once and says where it is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError

from base.settings import Duration, Section
from bot import credentials
from bot.http_settings import HeartbeatSettings, HttpSettings
from bot.oncall_rules import broken_oncall_rules
from bot.pager_rules import broken_pager_rules
from bot.settings_file import Document, Place, Problem, parse
from bot.settings_rules import broken_http_rules, broken_rules, unknown_policies
from bot.settings_words import problems_of
from oncall.settings import OnCallSettings
from workflows.settings import ManagedCluster

DAY = 86400.0
EXAMPLE = "deploy/roundsman.example.yaml"
START = "deploy/roundsman.start.yaml"


class SlackSettings(Section):
    bot_token: SecretStr = Field(description=f"xoxb-...; from the environment, {credentials.SLACK_BOT}")
    app_token: SecretStr = Field(description=f"xapp-...; from the environment, {credentials.SLACK_APP}")
    api_url: str = Field(
        "https://slack.com/api/",
        pattern=r"^https?://\S+/$",
        description="Slack's Web API, or a proxy before it; environment: SLACK_API_URL",
    )


class StoreSettings(Section):
    path: str = Field(
        "/var/lib/roundsman/roundsman.sqlite3", description="the database; on the bot's own disk, never on the cluster"
    )
    keep_runs: Duration = Field(
        90 * DAY,
        ge=14 * DAY,
        description="journal and messages of a run that ended; those of the 20 newest of its kind are kept for longer",
    )
    keep_records: Duration = Field(
        400 * DAY, ge=90 * DAY, description="the audit log, and of an outage what its report is made of"
    )


class PaceSettings(Section):
    """How often a wait looks again: the time waited so far / divisor, but no less than least and no more than most."""

    divisor: float = Field(20.0, ge=1, description="a wait of 20 minutes is looked at every minute")
    least: Duration = Field(5.0, description="shortest time between two looks")
    most: Duration = Field(60.0, description="longest time between two looks")


class LogSettings(Section):
    format: Literal["console", "json"] = Field("console", description="console for people, json for a log collector")


class Settings(Section):
    slack: SlackSettings
    store: StoreSettings = StoreSettings()
    pace: PaceSettings = PaceSettings()
    log: LogSettings = LogSettings()
    clusters: tuple[ManagedCluster, ...] = Field(min_length=1)
    oncall: OnCallSettings | None = Field(
        None, description="who is woken when something dies overnight; none = only mentions in Slack"
    )
    http: HttpSettings | None = Field(None, description="the bot's own HTTP server; none = nobody can call it")
    heartbeat: HeartbeatSettings = HeartbeatSettings()


class SettingsError(Exception):
    """The settings cannot be used; `faults` has one sentence for each reason, with its path in the file."""

    def __init__(self, path: Path, faults: list[str]) -> None:
        self.faults = faults
        count = "one fault" if len(faults) == 1 else f"{len(faults)} faults"
        super().__init__("\n".join([f"{path} has {count}:", *(f"  {fault}" for fault in faults)]))


def load(
    path: Path, environ: Mapping[str, str], need: Collection[str] = ("slack", "pve", "oncall", "http")
) -> Settings:
    """Read and judge the settings. Raises SettingsError.

    `need`: whose secrets must be set; a command that never talks to Slack runs without Slack's.
    """
    document = parse(_text(path))
    if document.data is None:
        raise SettingsError(path, [document.tell(problem) for problem in document.problems])
    document.problems += _add_environment(document.data, environ, need)
    settings = _validate(document)
    document.problems += broken_rules(list(_sound_clusters(document.data)))
    document.problems += _broken_oncall(document.data, "oncall" in need)
    document.problems += _broken_http(document.data)
    document.problems += _unknown_policies(document.data)
    if document.problems or settings is None:
        raise SettingsError(path, [document.tell(problem) for problem in document.problems])
    return settings


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SettingsError(path, [f"there is no such file; {START} is one to start from"]) from None
    except UnicodeDecodeError:
        raise SettingsError(path, ["it is not text in UTF-8"]) from None
    except OSError as error:
        raise SettingsError(path, [f"it cannot be read: {error.strerror}"]) from None


# ---- secrets -----------------------------------------------------------------------------------------------------


def _add_environment(data: dict[str, Any], environ: Mapping[str, str], need: Collection[str]) -> Iterator[Problem]:
    """Put secrets and overrides where the models expect them."""
    slack = _section(data, "slack")
    if url := environ.get("SLACK_API_URL"):
        slack["api_url"] = url.rstrip("/") + "/"
    for key, variable, prefix in (
        ("bot_token", credentials.SLACK_BOT, "xoxb-"),
        ("app_token", credentials.SLACK_APP, "xapp-"),
    ):
        read = partial(credentials.slack_token, variable, prefix, environ)
        yield from _put_secret(slack, ("slack", key), variable, read, "slack" in need)
    clusters = list(_raw_clusters(data))
    for index, cluster in clusters:
        name = str(_mapping(cluster).get("name", ""))
        read = partial(credentials.pve_token, name, environ)
        variable = credentials.pve_variable(name) if len(clusters) > 1 else credentials.PVE
        yield from _put_secret(
            _section(cluster, "api"), ("clusters", index, "api", "token"), variable, read, "pve" in need
        )
    yield from _add_http(data, environ, "http" in need)
    if "oncall" in data:
        yield from _add_calendars(_section(data, "oncall"), environ, "oncall" in need)
        yield from _add_pagers(_section(data, "oncall"), environ, "oncall" in need)


def _add_http(data: dict[str, Any], environ: Mapping[str, str], needed: bool) -> Iterator[Problem]:
    for index, source in _listed(_mapping(data.get("http")), "sources"):
        name = str(_mapping(source).get("name", ""))
        read = partial(credentials.http_token, name, environ)
        variable = credentials.own_variable(credentials.HTTP, name)
        yield from _put_secret(_mapping(source), ("http", "sources", index, "token"), variable, read, needed)
    url = partial(credentials.heartbeat_url, environ)
    place = ("heartbeat", "url")
    yield from _put_secret(_section(data, "heartbeat"), place, credentials.HEARTBEAT, url, needed=False)


def _add_calendars(oncall: dict[str, Any], environ: Mapping[str, str], needed: bool) -> Iterator[Problem]:
    """The address of a calendar is a secret: whoever has it reads who is at home when."""
    for index, rota in _listed(oncall, "rotas"):
        if "calendar" in _mapping(rota):
            name = str(_mapping(rota).get("name", ""))
            read = partial(credentials.calendar_url, name, environ)
            place = ("oncall", "rotas", index, "calendar", "url")
            yield from _put_secret(_section(rota, "calendar"), place, credentials.calendar_variable(name), read, needed)


def _add_pagers(oncall: dict[str, Any], environ: Mapping[str, str], needed: bool) -> Iterator[Problem]:
    """Tokens of paging services, and what each person can be reached by. Who lacks what: bot/pager_rules.py."""
    pagers = _mapping(oncall.get("pagers"))
    for section, variable, read in (
        ("pushover", credentials.PUSHOVER, partial(credentials.pushover_key, credentials.PUSHOVER, environ)),
        ("twilio", credentials.TWILIO, partial(credentials.twilio_token, environ)),
    ):
        if section in pagers:
            place = ("oncall", "pagers", section, "token")
            yield from _put_secret(_section(pagers, section), place, variable, read, needed)
    for name, person in _mapping(oncall.get("people")).items():
        variable = credentials.own_variable(credentials.PUSHOVER_USER, name)
        read = partial(credentials.pushover_key, variable, environ)
        yield from _put_secret(_mapping(person), ("oncall", "people", name, "pushover"), variable, read, False)
        variable = credentials.own_variable(credentials.APPRISE, name)
        urls = partial(credentials.apprise_urls, name, environ)
        yield from _put_secret(_mapping(person), ("oncall", "people", name, "apprise"), variable, urls, False)


def _put_secret(
    section: dict[str, Any], place: Place, variable: str, read: Callable[[], str | list[str]], needed: bool
) -> Iterator[Problem]:
    key = str(place[-1])
    if section.pop(key, None):
        yield Problem(place, f"a secret does not belong in this file; take it out and set {variable}")
    try:
        section[key] = read()
    except credentials.BadSecret as error:
        section[key] = ""
        yield Problem(place, str(error))
        return
    if needed and not section[key]:
        told = f"is not set: set the environment variable {variable}, or {variable}_FILE to a file with it"
        yield Problem(place, f"{told}, or CREDENTIALS_DIRECTORY to the folder with {credentials.file_name(variable)}")


def _section(parent: Any, key: str) -> dict[str, Any]:
    """The section of that name; a loose one, which nobody reads, where something else stands in its place."""
    return _mapping(_mapping(parent).setdefault(key, {}))


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _raw_clusters(data: dict[str, Any]) -> Iterator[tuple[int, Any]]:
    return _listed(data, "clusters")


def _listed(section: dict[str, Any], key: str) -> Iterator[tuple[int, Any]]:
    found = section.get(key)
    yield from enumerate(found if isinstance(found, list) else [])


# ---- the models' verdict, in words --------------------------------------------------------------------------------


def _validate(document: Document) -> Settings | None:
    try:
        return Settings.model_validate(document.data)
    except ValidationError as failed:
        document.problems += problems_of(failed.errors(include_url=False), Settings)
        return None


def _sound_clusters(data: dict[str, Any]) -> Iterator[tuple[int, ManagedCluster]]:
    """The clusters that are sound by themselves, so that rules are judged even while another section is at fault."""
    for index, raw in _raw_clusters(data):
        try:
            yield index, ManagedCluster.model_validate(raw)
        except ValidationError:
            continue  # its faults are in the list already: _validate saw the same values


def _broken_oncall(data: dict[str, Any], needed: bool) -> list[Problem]:
    """The same for the people on call. `needed`: whether secrets must be there."""
    try:
        oncall = OnCallSettings.model_validate(data["oncall"]) if "oncall" in data else None
    except ValidationError:
        return []
    return [*broken_oncall_rules(oncall), *broken_pager_rules(oncall, needed)] if oncall else []


def _unknown_policies(data: dict[str, Any]) -> list[Problem]:
    """Names of policies that clusters and probes use. Judged while the section `oncall` has faults of its own, too."""
    names = [str(_mapping(raw).get("name", "default")) for _, raw in _listed(_mapping(data.get("oncall")), "policies")]
    return list(unknown_policies(list(_sound_clusters(data)), names)) if names else []


def _broken_http(data: dict[str, Any]) -> list[Problem]:
    """The same for those who may post alerts."""
    try:
        http = HttpSettings.model_validate(data["http"]) if "http" in data else None
    except ValidationError:
        return []
    names = [str(_mapping(raw).get("name", "")) for _, raw in _raw_clusters(data)]
    return list(broken_http_rules(http, names)) if http else []
