"""The guard of the server: it answers requests of its own page, from the machine it runs on.

A page of another site can make a browser send requests here. It reads nothing, because its name
would be in the Host header (DNS rebinding), and changes nothing, because its name would be in the
Origin header.
"""

import ipaddress
from urllib.parse import urlsplit

from flask import Flask, Response, request

_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "  # plotly's WebGL
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self'; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_READS = {"GET", "HEAD", "OPTIONS"}
MOST_BYTES = 4 * 2**20  # of a request's body


def allowed_hosts(host: str, port: int) -> frozenset[str]:
    """List the values of the Host header that name a server bound to this address."""
    names = {"localhost", "127.0.0.1", "[::1]", _bracketed(host)}
    return frozenset(f"{name}:{port}".lower() for name in names) | (
        frozenset(names) if port == 80 else frozenset()
    )


def is_loopback(host: str) -> bool:
    """Tell whether an address is reachable from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def guard(server: Flask, hosts: frozenset[str]) -> None:
    """Refuse foreign requests, and restrict in every response the sources a page may load."""
    server.config["MAX_CONTENT_LENGTH"] = MOST_BYTES

    @server.before_request
    def refuse() -> Response | None:
        if request.headers.get("Host", "").lower() not in hosts:
            return _refusal("this server has another name; open the address it printed")
        if request.method not in _READS and _is_foreign(hosts):
            return _refusal("requests from other sites are refused")
        return None

    @server.after_request
    def fence(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["X-Frame-Options"] = "DENY"
        response.headers["Referrer-Policy"] = "same-origin"
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        return response


def _is_foreign(hosts: frozenset[str]) -> bool:
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
        return True
    origin = request.headers.get("Origin")
    if origin is None:
        return False
    parts = urlsplit(origin)
    return parts.scheme not in {"http", "https"} or parts.netloc.lower() not in hosts


def _refusal(why: str) -> Response:
    return Response(f"Refused: {why}.\n", status=403, mimetype="text/plain")


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
