"""Secrets: from the environment, from a file that the environment names, or from systemd's credentials. Never from the
settings file, and never printed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path


class BadSecret(Exception):
    """A secret that is there but cannot be used; the sentence does not contain it."""


SLACK_BOT = "ROUNDSMAN_SLACK_BOT_TOKEN"
SLACK_APP = "ROUNDSMAN_SLACK_APP_TOKEN"
PVE = "ROUNDSMAN_PVE_TOKEN"
CALENDAR = "ROUNDSMAN_CALENDAR"
PUSHOVER = "ROUNDSMAN_PUSHOVER_TOKEN"
PUSHOVER_USER = "ROUNDSMAN_PUSHOVER_USER"
TWILIO = "ROUNDSMAN_TWILIO_TOKEN"
APPRISE = "ROUNDSMAN_APPRISE"
HTTP = "ROUNDSMAN_HTTP_TOKEN"
HEARTBEAT = "ROUNDSMAN_HEARTBEAT_URL"
SHORTEST = 16
"""Characters of a token that somebody made up: a shorter one can be guessed."""


def pve_variable(cluster: str) -> str:
    """ "berlin-1" -> "ROUNDSMAN_PVE_TOKEN_BERLIN_1". ROUNDSMAN_PVE_TOKEN serves clusters without one of their own."""
    return own_variable(PVE, cluster)


def calendar_variable(rota: str) -> str:
    """ "primary" -> "ROUNDSMAN_CALENDAR_PRIMARY"."""
    return own_variable(CALENDAR, rota)


def own_variable(common: str, name: str) -> str:
    return f"{common}_{name.upper().replace('-', '_')}"


def slack_token(variable: str, prefix: str, environ: Mapping[str, str]) -> str:
    """A Slack token, or "" where none is set. Raises BadSecret."""
    token = _secret(variable, environ)
    if token and not token.startswith(prefix):
        raise BadSecret(f"{variable} does not start with {prefix}: is it another of Slack's tokens?")
    return token


def pve_token(cluster: str, environ: Mapping[str, str]) -> str:
    """The secret of a cluster's API token, or "" where none is set. Raises BadSecret."""
    own = pve_variable(cluster)
    variable = own if _secret(own, environ) else PVE
    token = _secret(variable, environ)
    if "!" in token or "=" in token:
        raise BadSecret(f"{variable} must hold the secret alone: what stands after the = in USER@REALM!NAME=SECRET")
    return token


def calendar_url(rota: str, environ: Mapping[str, str]) -> str:
    """Where the calendar of a rota is, or "" where none is set. Raises BadSecret."""
    variable = calendar_variable(rota)
    url = _secret(variable, environ)
    if url.startswith("webcal://"):  # as calendars write it for people: the same address, to be subscribed to
        url = "https://" + url.removeprefix("webcal://")
    if url and not re.fullmatch(r"https?://[^/]+(/.*)?", url):
        raise BadSecret(f"{variable} is not the address of a calendar: it begins with https:// (or webcal://)")
    return url


def pushover_key(variable: str, environ: Mapping[str, str]) -> str:
    """An application's token or a person's key, or "" where none is set. Raises BadSecret."""
    key = _secret(variable, environ)
    if key and not re.fullmatch(r"[A-Za-z0-9]{30}", key):
        raise BadSecret(f"{variable} is not one of Pushover's keys: those have 30 letters and digits")
    return key


def twilio_token(environ: Mapping[str, str]) -> str:
    """The account's auth token, or "" where none is set. Raises BadSecret."""
    return _secret(TWILIO, environ)


def apprise_urls(name: str, environ: Mapping[str, str]) -> list[str]:
    """A person's Apprise URLs, each a secret as a whole. Raises BadSecret."""
    return _text(own_variable(APPRISE, name), environ).split()


def http_token(source: str, environ: Mapping[str, str]) -> str:
    """What a source of alerts must show, or "" where none is set. Raises BadSecret."""
    variable = own_variable(HTTP, source)
    token = _secret(variable, environ)
    if token and len(token) < SHORTEST:
        raise BadSecret(f"{variable} can be guessed: take {SHORTEST} characters or more (`openssl rand -hex 24`)")
    return token


def heartbeat_url(environ: Mapping[str, str]) -> str:
    """Where the dead man's switch is, or "" where none is set. Raises BadSecret."""
    url = _secret(HEARTBEAT, environ)
    if url and not re.fullmatch(r"https?://[^/?#]+/.*", url):
        raise BadSecret(f"{HEARTBEAT} is not an address such as https://hc-ping.com/UUID")
    return url


def _text(variable: str, environ: Mapping[str, str]) -> str:
    return environ.get(variable) or _from_file(variable, environ)


def _secret(variable: str, environ: Mapping[str, str]) -> str:
    text = _text(variable, environ).strip()
    if any(not char.isprintable() or char.isspace() for char in text):
        raise BadSecret(f"{variable} has a space or a line break inside: was it cut and pasted in pieces?")
    return text


def file_name(variable: str) -> str:
    """ "ROUNDSMAN_PVE_TOKEN" -> "pve-token"."""
    return variable.removeprefix("ROUNDSMAN_").lower().replace("_", "-")


def _from_file(variable: str, environ: Mapping[str, str]) -> str:
    """From VARIABLE_FILE, else from systemd's LoadCredential= (roundsman.service names them like slack-bot-token)."""
    if named := environ.get(f"{variable}_FILE"):
        return _read(variable, Path(named))
    if folder := environ.get("CREDENTIALS_DIRECTORY"):
        file = Path(folder) / file_name(variable)
        return _read(variable, file) if file.exists() else ""
    return ""


def _read(variable: str, file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise BadSecret(f"{variable}: {file} holds no text") from None
    except OSError as error:
        raise BadSecret(f"{variable}: {file} cannot be read: {error.strerror}") from None
