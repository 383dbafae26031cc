"""What a person writes about people: who they are, whose turn it is, and how they are woken. Part of the one settings
file, as its section `oncall`; secrets come from the environment (bot/credentials.py)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr

from base.settings import Duration, Section

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEK: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Hours(Section):
    """A stretch of the day, HH:MM to HH:MM; may cross midnight."""

    start: str = Field("22:00", description="HH:MM")
    end: str = Field("07:00", description="HH:MM; before start: of the next day")


class Person(Section):
    """Whoever can be woken; the key in `oncall.people` is how rotas and policies call them."""

    slack: str = Field(description="Slack user id (U...)")
    name: str = Field("", description="spoken on the phone; empty = the key")
    zone: str = Field(
        "UTC", description='name of their time zone, such as "Europe/Berlin": it says when their night is'
    )
    night: Hours = Field(Hours(), description="when they sleep: then the first rung rings as well")
    phone: str = Field("", description="number for calls, in full: +4930123456")
    pushover: SecretStr = Field(
        SecretStr(""), description="Pushover user key; from the environment ROUNDSMAN_PUSHOVER_USER_<NAME>"
    )
    apprise: tuple[SecretStr, ...] = Field(
        (), description="Apprise URLs; from the environment ROUNDSMAN_APPRISE_<NAME>, separated by spaces"
    )


class Layer(Section):
    """One way of taking turns. Where several layers say somebody, the one with the highest priority counts."""

    name: str = Field("", description="how it is called in the table; empty = its place in the list")
    people: tuple[str, ...] = Field(min_length=1, description="who takes turns, in this order")
    turn: Literal["daily", "weekly", "hours"] = Field("weekly", description="how long a turn is")
    hours: int = Field(
        0, ge=0, le=8784, description="length of a turn, with turn: hours; counted in hours that really pass"
    )
    start: str = Field(description="first hand-off, on the wall clock of the rota's zone: 2026-03-02T09:00")
    end: str = Field("", description="when the layer ends; empty = never")
    priority: int = Field(0, description="the higher one counts where layers overlap")
    days: tuple[Day, ...] = Field(
        WEEK,
        min_length=1,
        description="days on which the layer's window opens; without a window the whole days. "
        "With turn: daily only these days count as turns",
    )
    window: Hours | None = Field(
        None, description="only within these hours of the rota's zone; none = around the clock"
    )


class Feed(Section):
    """A calendar that people keep elsewhere. An event's summary or an attendee names the person (name or address)."""

    url: SecretStr = Field(
        SecretStr(""), description="where the calendar is; from the environment ROUNDSMAN_CALENDAR_ROTA"
    )
    refresh: Duration = Field(
        15 * MINUTE, description="how often it is fetched; if it is down its last good copy counts"
    )
    priority: int = Field(100, description="as of a layer; by default a calendar's word counts before any layer")
    names: dict[str, str] = Field(
        default_factory=dict, description="what the calendar calls people -> what the settings call them"
    )


class Rota(Section):
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$", description='how policies call it: "primary"')
    zone: str = Field("UTC", description="time zone of all its wall-clock times")
    layers: tuple[Layer, ...] = Field((), description="who takes turns; none with a calendar alone")
    calendar: Feed | None = Field(None, description="an iCalendar feed that says who is on call")
    warn_gap: Duration = Field(7 * DAY, description="a gap within this time is warned of once a day")
    user_group: str = Field("", description="Slack user group (S...) that is kept in step with the rota; empty = none")


How = Literal["mention", "direct", "apprise", "pushover", "voice"]


class Rung(Section):
    """One step of a policy: these people, in these ways, and then so much time to acknowledge."""

    who: tuple[str, ...] = Field(
        min_length=1, description='"rota:primary" (who is on call), a person\'s name, or "everybody"'
    )
    how: tuple[How, ...] = Field(
        ("mention",), min_length=1, description="all of them at once: mention, direct, apprise, pushover, voice"
    )
    night: tuple[How, ...] = Field(
        (), description="instead of `how` while it is night for the person who is paged; empty = the same"
    )
    wait: Duration = Field(5 * MINUTE, description="for an acknowledgement, before the next rung")


class Policy(Section):
    """Rungs, from the top; after the last one it begins again, without limit, until somebody acknowledges."""

    name: str = Field("default", description="how clusters and probes call it")
    rungs: tuple[Rung, ...] = Field(min_length=1, description="in this order")
    pause: Duration = Field(0.0, description="after the last rung, before the first one again")
    acknowledged_by: Literal["anybody", "policy"] = Field(
        "anybody", description="who may acknowledge: anybody in the channel, or only people whom the policy can page"
    )


class PushoverSettings(Section):
    token: SecretStr = Field(
        SecretStr(""), description="the application's token; from the environment ROUNDSMAN_PUSHOVER_TOKEN"
    )
    retry: Duration = Field(30.0, ge=30.0, description="between two rings; Pushover allows no less than 30 s")
    expire: Duration = Field(1 * HOUR, le=10800.0, description="how long it rings; Pushover allows 3 h")
    url: str = Field("https://api.pushover.net/1/", pattern=r"^https?://\S+/$", description="Pushover, or a stand-in")


class TwilioSettings(Section):
    account: str = Field(pattern=r"^AC[0-9a-f]{32}$", description="account SID")
    token: SecretStr = Field(SecretStr(""), description="auth token; from the environment ROUNDSMAN_TWILIO_TOKEN")
    caller: str = Field(pattern=r"^\+[1-9]\d{6,14}$", description="number that calls, in full")
    voice: str = Field("alice", description="voice that reads the outage out")
    ring: Duration = Field(30.0, description="how long it lets the phone ring")
    url: str = Field("https://api.twilio.com/", pattern=r"^https?://\S+/$", description="Twilio, or a stand-in")


class PagerSettings(Section):
    """Ways to ring. Only those that are configured can be used in a policy."""

    pushover: PushoverSettings | None = Field(
        None, description="rings through Do Not Disturb, and tells who acknowledged"
    )
    twilio: TwilioSettings | None = Field(None, description="calls, reads the outage out, takes a key press")
    timeout: Duration = Field(8.0, description="of one request to a paging service")


class OnCallSettings(Section):
    """Who is woken when something dies overnight."""

    people: dict[str, Person] = Field(min_length=1, description="everybody who can be woken, by name")
    rotas: tuple[Rota, ...] = Field((), description="whose turn it is")
    policies: tuple[Policy, ...] = Field(min_length=1, description="who is woken how, and who next")
    last_resort: tuple[str, ...] = Field(
        min_length=1, description="woken when nobody is on call: that is an outage by itself"
    )
    channel: str = Field(
        "", description="Slack channel (C...) in which hand-offs and gaps are told; empty = that of the first cluster"
    )
    pagers: PagerSettings = PagerSettings()
    stale_after: Duration = Field(
        1 * HOUR, description="an acknowledgement without any sign of life for this long does not count any more"
    )
    proof_age: Duration = Field(
        30 * DAY, description="a pager counts as proven for so long after an answered `/oncall test`"
    )
    test_wait: Duration = Field(10 * MINUTE, description="for an answer to `/oncall test`")
