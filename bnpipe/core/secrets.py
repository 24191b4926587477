"""Hide the secrets in URLs: user, password and the values of a query. Messages and logs show URLs only in this form."""

import re
from typing import Any

_HIDDEN = "***"
_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^\s'\"]+", re.IGNORECASE)


def mask(text: str) -> str:
    """Return a text with the secrets of every URL in it hidden."""
    return _URL.sub(lambda match: mask_url(match[0]), text)


def mask_url(url: str) -> str:
    """Return a URL with its secrets hidden: https://user:password@host/get?token=x is https://***@host/get?token=***.

    The user is hidden too, because some servers accept a token in its place. Malformed URLs and URLs without a scheme
    are masked too.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "", url
    end = user_end(rest) if separator or re.match(r"[^/?#@]*:[^/]*@", rest) else 0
    address, mark, query = rest[end:].partition("?")
    shown = "&".join(map(_mask_parameter, query.split("&"))) if query else ""
    return f"{scheme}{separator}{f'{_HIDDEN}@' if end else ''}{address}{mark}{shown}"


def mask_values(value: Any, masked: dict[int, Any] | None = None) -> Any:
    """Return a value of the configuration, of any type, with the secrets of all URLs in it hidden.

    masked: what has been masked already, by identity, because YAML's aliases let a list contain itself.
    """
    masked = {} if masked is None else masked
    if isinstance(value, str):
        return type(value)(mask_url(value) if _URL.match(value) else mask(value))
    if id(value) in masked:
        return masked[id(value)]
    if isinstance(value, list):
        entries = masked[id(value)] = []
        entries += [mask_values(entry, masked) for entry in value]
        return entries
    if isinstance(value, dict):
        section = masked[id(value)] = {}
        section |= {key: mask_values(entry, masked) for key, entry in value.items()}
        return section
    return value


def user_end(rest: str) -> int:
    """Return where the host begins in the rest of a URL after its scheme: after user and password, or at 0.

    A password may hold a /, ? or # that should have been percent-encoded. In that case what looks like the port is not
    a number.
    """
    match = re.match(r"[^/?#]*", rest)
    authority = match[0] if match else ""
    if "@" in authority:
        return authority.rindex("@") + 1
    port = authority.partition(":")[2]
    if "@" in rest and port and not port.isdigit() and not authority.startswith("["):
        return rest.rindex("@") + 1
    return 0


def _mask_parameter(parameter: str) -> str:
    """Hide the value of one parameter of a query, unless it is the placeholder for a file's name."""
    name, equals, value = parameter.partition("=")
    if (value or name) == "{file}":
        return parameter
    return f"{name}={_HIDDEN}" if equals else _HIDDEN
