"""What other monitoring sends, read into alerts: Alertmanager's payload (version 4), and a plain form."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from workflows.alerts import Alert

SOURCE = "webhook"
MOST_SUBJECT, MOST_SUMMARY, MOST_MARK = 200, 1000, 200
"""Characters that are kept."""
NAMELESS = "an alert without a name"
MOST_TOLD = 3
"""So many of those that cannot be read are told in the log."""
OLDEST_S = 30 * 86400.0
"""An alert that began earlier, or that is yet to begin, began now: somebody's clock is wrong."""

log = logging.getLogger(__name__)


class BadAlert(Exception):
    """What was sent cannot be read; a sentence says why."""


@dataclass(frozen=True, slots=True)
class Word:
    """What somebody says of one trouble: that it fires, or (`firing` False) that it does not any more."""

    cluster: str
    firing: bool
    alert: Alert


def parsed(body: bytes) -> Any:
    """JSON as it is plain. Raises BadAlert."""
    try:
        return json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise BadAlert(f"this is not JSON: {str(error)[:MOST_SUBJECT]}") from None


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def alertmanager(data: Any, clusters: Sequence[str], cluster: str, now: float) -> list[Word]:
    """https://prometheus.io/docs/alerting/latest/configuration/#webhook_config (read 2026-11). `cluster`: of alerts
    whose label `cluster` is none of `clusters`. One that cannot be read is left out: Alertmanager sends nothing again
    that was refused, and the others must not be lost with it. Raises BadAlert when none can be read."""
    if not isinstance(data, Mapping) or not isinstance(data.get("alerts"), list):
        raise BadAlert("this is not what Alertmanager sends: there is no list `alerts`")
    if str(data.get("version")) != "4":
        raise BadAlert(f"this is version {text(data.get('version'), 20)!r} of Alertmanager's payload; I read version 4")
    if data.get("truncatedAlerts"):
        log.warning("webhook: Alertmanager left out %s alerts (its max_alerts)", text(data["truncatedAlerts"], 20))
    words, bad = list[Word](), list[BadAlert]()
    for row in data["alerts"]:
        try:
            words.append(_of_alertmanager(row, clusters, cluster, now))
        except BadAlert as unread:
            bad.append(unread)
    if bad and not words:
        raise bad[0]
    for one in bad[:MOST_TOLD]:
        log.error("webhook: an alert of a group cannot be read, the others are taken: %s", one)
    return words


def _of_alertmanager(row: Any, clusters: Sequence[str], cluster: str, now: float) -> Word:
    if not isinstance(row, Mapping):
        raise BadAlert("an entry of `alerts` is not an object")
    labels, notes = _strings(row.get("labels")), _strings(row.get("annotations"))
    name = labels.get("alertname", "")
    shown = ", ".join(f"{label}={value}" for label, value in labels.items()) or "it says nothing of itself"
    told = notes.get("summary") or notes.get("description") or notes.get("message") or name or shown
    where = labels.get("cluster", "")
    foreign = {"cluster": where[:MOST_MARK]} if where and where not in clusters else {}
    subject = labels.get("instance") or labels.get("node") or labels.get("host") or name or NAMELESS
    alert = Alert(
        fingerprint=text(row.get("fingerprint"), MOST_MARK) or _mark(labels),
        source=SOURCE,
        subject=subject[:MOST_SUBJECT],
        summary=(f"{name}: {told}" if name and name not in told else told)[:MOST_SUMMARY],
        severity=labels.get("severity", "warning")[:MOST_MARK],
        began_at=_began(row.get("startsAt"), now),
        detail={**foreign, "link": text(row.get("generatorURL"), MOST_SUMMARY)},
    )
    return Word(where if where in clusters else cluster, _fires(row.get("status")), alert)


def plain(data: Any, clusters: Sequence[str], cluster: str, now: float) -> list[Word]:
    """One object, or a list of them: {subject, summary, status, severity?, fingerprint?, cluster?, began?}. Raises
    BadAlert."""
    rows = data if isinstance(data, list) else [data]
    return [_of_plain(row, clusters, cluster, now) for row in rows]


PLAIN = ("subject", "summary", "status", "severity", "fingerprint", "cluster", "began")


def _of_plain(row: Any, clusters: Sequence[str], cluster: str, now: float) -> Word:
    if not isinstance(row, Mapping):
        raise BadAlert('an alert is an object, such as {"subject": "db", "summary": "disk full", "status": "firing"}')
    if unknown := [key for key in row if key not in PLAIN]:
        raise BadAlert(f"unknown key {text(unknown[0], 40)!r}; known here: {', '.join(PLAIN)}")
    subject, summary = text(row.get("subject"), MOST_SUBJECT), text(row.get("summary"), MOST_SUMMARY)
    where = text(row.get("cluster"), MOST_MARK) or cluster
    if not subject:
        raise BadAlert("an alert needs a `subject`: what it is about")
    if where not in clusters:
        raise BadAlert(f"there is no cluster {where!r}; there are {', '.join(clusters)}")
    firing = _fires(row.get("status"))
    if firing and not summary:
        raise BadAlert("an alert that fires needs a `summary`: what is wrong")
    mark = text(row.get("fingerprint"), MOST_MARK) or _mark({"subject": subject})
    severity = text(row.get("severity"), MOST_MARK) or "critical"
    alert = Alert(mark, SOURCE, subject, summary, severity, _began(row.get("began"), now))
    return Word(where, firing, alert)


def _fires(status: Any) -> bool:
    if status not in ("firing", "resolved"):
        raise BadAlert(f"`status` is {text(status, 40)!r}; it must be firing or resolved")
    return bool(status == "firing")


def _strings(found: Any) -> dict[str, str]:
    if found is not None and not isinstance(found, Mapping):
        raise BadAlert("`labels` and `annotations` must be objects")
    return {str(key): text(value, MOST_SUMMARY) for key, value in (found or {}).items()}


def text(value: Any, most: int) -> str:
    """As text that every database takes: no half characters, no control characters."""
    if value is None:
        return ""
    whole = (value if isinstance(value, str) else json.dumps(value)).encode("utf-8", "replace").decode()
    return "".join(char if char.isprintable() else " " for char in whole)[:most].strip()


def _mark(labels: Mapping[str, str]) -> str:
    return sha256(json.dumps(dict(sorted(labels.items()))).encode()).hexdigest()[:16]


def _began(value: Any, now: float) -> float:
    try:
        began = float(value) if isinstance(value, int | float) else datetime.fromisoformat(str(value)).timestamp()
    except (ValueError, OverflowError, OSError):
        return now
    return began if math.isfinite(began) and now - OLDEST_S <= began <= now else now
