"""One request to a paging service: bounded in time and size, and no secret in what it raises.

The exceptions of `requests` hold the whole address, and with it tokens; so only their kind is ever told.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from base.web import TooLong, request
from oncall.pagers import PagerError

MOST_BYTES = 1 << 20
"""No answer of a paging service is a tenth as long."""
LATER = (408, 425, 429)
"""The only answers of the 400s that mean "not now" instead of "never"."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`data`: the JSON object of the answer, {} if it was none."""

    status: int
    data: Mapping[str, Any]

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300

    @property
    def permanent(self) -> bool:
        """The same request again would get the same answer."""
        return 400 <= self.status < 500 and self.status not in LATER


def ask(
    service: str,
    method: str,
    url: str,
    timeout: float,
    fields: Mapping[str, str],
    auth: tuple[str, str] | None = None,
) -> Answer:
    """`timeout`: seconds, for the whole request. `fields`: in the query of a GET, else as a form. No redirect is
    followed: it would carry secrets elsewhere. Raises PagerError when no answer comes, which is never permanent."""
    query, form = (fields, None) if method == "GET" else (None, fields)
    try:
        response = request(method, url, timeout, MOST_BYTES, params=query, data=form, auth=auth, allow_redirects=False)
    except TooLong:
        raise PagerError(f"{service} did not answer: its answer does not end", permanent=False) from None
    except OSError as error:  # all of requests' exceptions are some
        raise PagerError(f"{service} did not answer: {type(error).__name__}", permanent=False) from None
    return Answer(response.status_code, _object(response.content))


def receipt_in(service: str, data: Mapping[str, Any], name: str) -> str:
    """Of a page that was taken. Without one nobody could see that it never rang, hear of its answer or call it off:
    raises PagerError, which is never permanent."""
    if found := data.get(name):
        return str(found)
    raise PagerError(f"{service} named no {name} for the page", permanent=False)


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        data = json.loads(body)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}
