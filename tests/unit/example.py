"""The secrets of paging, and of those who post alerts, that the example of the settings needs."""

from __future__ import annotations

PAGER_SECRETS = {
    "ROUNDSMAN_PUSHOVER_TOKEN": "a0123456789abcdefghijABCDEFGHI",
    "ROUNDSMAN_TWILIO_TOKEN": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
    "ROUNDSMAN_PUSHOVER_USER_ALICE": "uALICE0123456789abcdefghijABCD",
    "ROUNDSMAN_PUSHOVER_USER_BOB": "uBOB000123456789abcdefghijABCD",
    "ROUNDSMAN_PUSHOVER_USER_CAROL": "uCAROL0123456789abcdefghijABCD",
}
HTTP_SECRETS = {"ROUNDSMAN_HTTP_TOKEN_ALERTMANAGER": "c0ffee00c0ffee00c0ffee00c0ffee00"}
