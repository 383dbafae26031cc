"""A page over HTTP or HTTPS: any status below 400 is well; with `expect`, the page must contain that text. Redirects
are not followed: where they lead is another probe's business."""

from __future__ import annotations

import ssl
from functools import cache
from urllib.parse import urlsplit

import aiohttp

from cluster.probes._common import Failed, Kind, Ok, Probe, Result, no_connection
from cluster.settings import ClusterSettings

MOST_READ = 256 * 1024
"""Bytes of a page that are looked through."""
BAD_FROM = 400


async def look(probe: Probe) -> Result:
    """A connection of its own for each look: a kept one would only prove that it was kept."""
    where = _shown(probe.target)
    try:
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session,
            session.get(probe.target, allow_redirects=False, ssl=_trust(probe.verify)) as answer,
        ):
            if answer.status >= BAD_FROM:
                return Failed(f"{where} answers {answer.status}")
            return await _page(probe, where, answer) if probe.expect else Ok()
    except aiohttp.ClientConnectorCertificateError as error:
        return Failed(f"the certificate of {where} is not trusted: {_why(error.certificate_error)}")
    except aiohttp.ClientConnectorDNSError:
        return Failed(f"the name of {where} has no address")
    except aiohttp.ClientConnectorError as error:
        return no_connection(where, error.os_error)
    except aiohttp.ClientError as error:
        return Failed(f"{where} broke the connection ({type(error).__name__})")
    except OSError as error:
        return no_connection(where, error)


async def _page(probe: Probe, where: str, answer: aiohttp.ClientResponse) -> Result:
    page, wanted = b"", probe.expect.encode()
    async for piece in answer.content.iter_any():
        page += piece
        if wanted in page:
            return Ok()
        if len(page) > MOST_READ:
            break
    return Failed(f'{where} answers {answer.status}, but without "{probe.expect}"')


@cache
def _trust(verify: bool) -> ssl.SSLContext | bool:
    """Made once: reading the system's certificates takes longer than a look."""
    return ssl.create_default_context() if verify else False


def _why(error: Exception) -> str:
    return getattr(error, "verify_message", "") or type(error).__name__


def _shown(url: str) -> str:
    """Without user, password and query, which may hold secrets."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def trouble(probe: Probe, settings: ClusterSettings) -> str:
    try:
        parts = urlsplit(probe.target)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 80) > 0
    except ValueError:
        sound = False
    return "" if sound else 'must be an address such as "https://www.example.org/health"'


KIND = Kind(
    name="http",
    doc="Does the page answer with a status below 400 (and contain `expect`), under a certificate that is trusted?",
    target="`http://...` or `https://...`",
    trouble=trouble,
    look=look,
)
