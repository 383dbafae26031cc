"""The addresses of paging services are known before the night in which no name server answers."""

from __future__ import annotations

import socket

from base.dialing import Names, Target
from bot.paging_names import look_up
from oncall.settings import PagerSettings
from sandbox.phones import ACCOUNT, CALLER

HERE: Target = (socket.AF_INET, ("192.0.2.1", 443))


def paged_by(pushover: str = "https://push.example/1/") -> PagerSettings:
    twilio = {"account": ACCOUNT, "caller": CALLER, "url": "http://phones.example:8080/"}
    return PagerSettings.model_validate({"pushover": {"url": pushover}, "twilio": twilio})


def test_what_was_looked_up_is_known_when_no_name_server_answers_any_more() -> None:
    answering = True

    def server(host: str, port: int) -> list[Target]:
        if not answering:
            raise socket.gaierror(socket.EAI_AGAIN, "silent")
        return [HERE]

    names = Names(server)
    look_up(paged_by(), names)
    answering = False
    assert names.targets("push.example", 443, 1.0) == names.targets("phones.example", 8080, 1.0) == [HERE]


def test_one_service_that_cannot_be_looked_up_does_not_keep_the_other_unknown() -> None:
    asked: list[str] = []

    def server(host: str, port: int) -> list[Target]:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    look_up(paged_by("https://push.example:none/"), Names(server))
    look_up(paged_by(), Names(server))
    assert asked == ["phones.example", "push.example", "phones.example"]


def test_without_pagers_nobody_is_asked() -> None:
    look_up(PagerSettings(), Names(lambda host, port: []))
