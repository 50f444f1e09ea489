"""Which requests the service answers: those of its own page and of programs, not of other sites."""

import base64
import hashlib
import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")

HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Headers of every answer: no cache, frame or other site may hold photos and faces."""


def is_loopback(address: str) -> bool:
    """Whether only programs on this machine can reach an IP address."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def guarded(app: ASGIApp, hosts: Iterable[str] | None) -> ASGIApp:
    """Answers only requests that the service's own page, or a program, has sent.

    A page of another site can make a browser send requests to this service. Such a request has the
    other site as its `Origin`; or, if the site's name was made to resolve to this machine (DNS
    rebinding), as its `Host`. Both get the answer 403. Starlette's TrustedHostMiddleware checks the
    `Host` alone, and does not answer in JSON.

    Args:
      app: the service.
      hosts: names that a request may have as `Host`; None: any name.
    """
    allowed = None if hosts is None else {host.lower() for host in hosts}

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        headers = Headers(scope=scope)
        refusal = _refusal(headers.get("host", ""), headers.get("origin"), allowed)
        answer = JSONResponse({"error": refusal}, 403) if refusal else app
        await answer(scope, receive, send_with_headers)

    return guard


def _refusal(host: str, origin: str | None, allowed: set[str] | None) -> str | None:
    """Why a request is refused; None: it is answered."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        sender = None if origin is None else urlsplit(origin).netloc
    except ValueError:
        return "The request has a damaged Host or Origin."
    if allowed is not None and name.lower() not in allowed:
        return f"This service is local; it does not answer as {name or 'a host without a name'!r}."
    if sender is not None and sender.lower() != host.lower():
        return f"Requests from pages of {origin!r} are not answered."
    return None


def page_policy(page: str) -> str:
    """The Content-Security-Policy under which a page runs its own script and nothing else."""

    def hashes(tag: str) -> str:
        texts = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digests = (base64.b64encode(hashlib.sha256(t.encode()).digest()).decode() for t in texts)
        return " ".join(f"'sha256-{digest}'" for digest in digests)

    return (
        f"default-src 'none'; script-src {hashes('script')}; style-src {hashes('style')}; "
        "connect-src 'self'; img-src blob: data:; media-src blob:; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )
