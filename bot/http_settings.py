"""What a person writes about the bot's own HTTP server and its sign of life. Tokens come from the environment."""

from __future__ import annotations

from pydantic import Field, SecretStr

from base.settings import Duration, Section


class SourceSettings(Section):
    """One that may post alerts, with a token of its own."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$", description='how its alerts are called: "alertmanager"'
    )
    token: SecretStr = Field(
        SecretStr(""), description="what it must show; from the environment ROUNDSMAN_HTTP_TOKEN_<NAME>"
    )
    clusters: tuple[str, ...] = Field((), description="clusters it may raise alerts for; empty = all")


class HttpSettings(Section):
    """Health, metrics, alerts from other monitoring, and the phone's way back."""

    listen: str = Field("127.0.0.1", description="address it listens on; a proxy in front of it does TLS")
    port: int = Field(8017, ge=0, le=65535, description="its port")
    public_url: str = Field(
        "",
        pattern=r"^(https?://[^\s/?#]+)?/?$",
        description="how the world reaches it, such as https://roundsman.example.org; key presses on phones need it",
    )
    sources: tuple[SourceSettings, ...] = Field((), description="who may post alerts")
    most_kib: int = Field(1024, ge=1, description="KiB that a request may have")
    patience: Duration = Field(2.0, gt=0.0, description="for the database to take alerts; then the sender is told 503")


class HeartbeatSettings(Section):
    """A dead man's switch elsewhere: it wakes people when the bot falls silent."""

    url: SecretStr = Field(
        SecretStr(""), description="where to ping, as healthchecks.io has it; environment: ROUNDSMAN_HEARTBEAT_URL"
    )
    every: Duration = Field(60.0, ge=1.0, description="from one ping to the next")
    timeout: Duration = Field(10.0, gt=0.0, description="of one ping")
