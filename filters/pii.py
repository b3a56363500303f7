"""The text with e-mail addresses and public IPv4 addresses replaced, as datatrove's PIIFormatter.

Replacements cycle through the reference's lists. There the cycle goes on from one document to the
next, so that a page's text depends on what was read before it; here it restarts with each document
and the output is a function of the document alone.

The reference's expressions are applied from the inside out, which finds the same matches in linear
time. An address holds exactly one `@`: the domain after it is matched first, and only then is the
start of the local part looked for. From the left, as the reference goes, every letter of a text is
a possible start, and 1 MB of `a-a-a-` takes hours. All repeats are possessive, for the same reason.
"""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import cycle
from typing import NamedTuple

EMAIL_REPLACEMENTS = ("email@example.com", "firstname.lastname@example.org")
# Addresses that answered no ping when the reference's authors drew them.
IP_REPLACEMENTS = (
    "22.214.171.124",
    "126.96.36.199",
    "188.8.131.52",
    "184.108.40.206",
    "220.127.116.11",
    "18.104.22.168",
)

_LOCAL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]"
_LABEL = r"[A-Za-z0-9]++(?:-++[A-Za-z0-9]++)*+"  # letters and digits, hyphens inside only
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)"
_QUAD = rf"(?:{_OCTET}\.){{3}}{_OCTET}"

_DOMAIN = re.compile(
    rf"{_LABEL}(?:\.{_LABEL})++"
    rf"|\[(?:{_OCTET}\.){{3}}(?:{_OCTET}|[A-Za-z0-9-]*[A-Za-z0-9]:)\]"
)
_LOCAL_REVERSED = re.compile(rf"{_LOCAL}++(?:\.{_LOCAL}++)*+")
_LOCAL_START = re.compile(rf"\b{_LOCAL}")

_IP = re.compile(_QUAD)
_WHOLE_IP = re.compile(rf"(?<![0-9])(?<![0-9]\.){_QUAD}(?!\.?[0-9])")
# Two dots with an octet between them and a digit after: every address holds it, within its first
# 4 characters, and a search for a literal dot is ten times as fast as one for any digit.
_IP_HINT = re.compile(r"\.[0-9]{1,3}\.[0-9]")
_OCTET_DIGITS = 3


class Anonymized(NamedTuple):
    """The text after replacement, and how many addresses of each kind were replaced."""

    text: str
    emails: int
    ips: int


@dataclass(frozen=True)
class PiiFormatter:
    """A function of a text: e-mail addresses replaced first, then public IP addresses.

    `strict_ip` spares parts of longer numbers. The reference's expression has no boundaries and
    makes `1.2.3.256` into `22.214.171.1246`.

    >>> PiiFormatter()("Write to ann@shop.com or bob@shop.com")
    'Write to email@example.com or firstname.lastname@example.org'
    """

    emails: bool = True
    ips: bool = True
    strict_ip: bool = False

    def __call__(self, text: str) -> str:
        return self.anonymize(text).text

    def anonymize(self, text: str) -> Anonymized:
        """The formatted text with the number of replacements."""
        emails = ips = 0
        if self.emails:
            text, emails = _replace(text, _emails(text), EMAIL_REPLACEMENTS)
        if self.ips:
            text, ips = _replace(text, _public_ips(text, self.strict_ip), IP_REPLACEMENTS)
        return Anonymized(text, emails, ips)


def _replace(
    text: str, spans: Iterator[tuple[int, int]], replacements: tuple[str, ...]
) -> tuple[str, int]:
    pieces: list[str] = []
    at = 0
    for (start, end), replacement in zip(spans, cycle(replacements), strict=False):
        pieces += (text[at:start], replacement)
        at = end
    pieces.append(text[at:])
    return "".join(pieces), len(pieces) // 2


def _emails(text: str) -> Iterator[tuple[int, int]]:
    """The spans of the addresses, in order, as a left-to-right search finds them."""
    after = 0  # nothing before this belongs to the next address
    at = text.find("@")
    while at >= 0:
        domain = _DOMAIN.match(text, at + 1)
        if domain:
            start = _local_start(text, after, at)
            if start is not None:
                yield start, domain.end()
                after = domain.end()
                at = text.find("@", after)
                continue
        after = at + 1
        at = text.find("@", after)


def _local_start(text: str, after: int, at: int) -> int | None:
    """Where the local part that ends at `at` starts: the leftmost word boundary within it."""
    local = _LOCAL_REVERSED.match(text[after:at][::-1])
    if local is None:
        return None
    start = _LOCAL_START.search(text, at - local.end(), at)
    return start.start() if start else None


def _public_ips(text: str, strict: bool) -> Iterator[tuple[int, int]]:
    hint = _IP_HINT.search(text)
    if hint is None:
        return
    pattern = _WHOLE_IP if strict else _IP
    for match in pattern.finditer(text, max(0, hint.start() - _OCTET_DIGITS)):
        if _is_public(match.group()):
            yield match.span()


@lru_cache(maxsize=4096)
def _is_public(address: str) -> bool:
    """Whether Python's ipaddress calls it global; leading zeros make it no address at all."""
    try:
        return ipaddress.ip_address(address).is_global
    except ValueError:
        return False
