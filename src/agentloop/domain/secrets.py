"""Secrets in text: found by the shape their issuers gave them, or by entropy where a name says secret.

Shapes come from the issuers' documentation and from the scanners gitleaks and detect-secrets; what the
latter misses (Anthropic, OpenAI projects, fine-grained GitHub, Google, npm) has patterns here. Everything
is linear in the text's length: no pattern has nested repetition.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from math import log2
from typing import Any, Final

from agentloop.domain.valueclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """Where a secret stands (`start`, `end` in characters; `line` from 1) and what it seems to be."""

    kind: str
    line: int
    start: int
    end: int


_START: Final = r"(?<![A-Za-z0-9_-])"
_END: Final = r"(?![A-Za-z0-9_-])"

# Longer prefixes stand before those they begin with: the first kind that matches a place names it.
_SHAPES: Final[tuple[tuple[str, str], ...]] = (
    ("anthropic key", r"sk-ant-[A-Za-z0-9]{2,12}-[A-Za-z0-9_-]{20,}"),
    ("openrouter key", r"sk-or-v1-[0-9a-f]{32,}"),
    ("openai key", r"sk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{20,}"),
    ("openai key", r"sk-[A-Za-z0-9]{20,}"),
    ("github token", r"gh[pousr]_[A-Za-z0-9]{36,255}"),
    ("github token", r"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{40,}"),
    ("gitlab token", r"gl(?:pat|dt|rt|ptt|cbt|ft|soat|agent|imt)-[A-Za-z0-9_.-]{20,}"),
    ("aws access key", r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}"),
    ("google api key", r"AIza[A-Za-z0-9_-]{35}"),
    ("google oauth secret", r"GOCSPX-[A-Za-z0-9_-]{28}"),
    ("google oauth token", r"ya29\.[A-Za-z0-9_-]{30,}"),
    ("npm token", r"npm_[A-Za-z0-9]{36}"),
    ("pypi token", r"pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,}"),
    ("slack token", r"xox[abeoprs]-[A-Za-z0-9-]{10,}"),
    ("slack token", r"xapp-\d-[A-Za-z0-9-]{10,}"),
    ("stripe key", r"[rs]k_(?:live|test)_[A-Za-z0-9]{16,}"),
    ("stripe webhook secret", r"whsec_[A-Za-z0-9+/=]{24,}"),
    ("hugging face token", r"hf_[A-Za-z0-9]{30,}"),
    ("sendgrid key", r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
    ("telegram bot token", r"\d{8,10}:AA[A-Za-z0-9_-]{33}"),
    ("json web token", r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
)
_SHAPE: Final = re.compile(
    _START + "(?:" + "|".join(f"(?P<k{n}>{shape})" for n, (_, shape) in enumerate(_SHAPES)) + ")" + _END
)
_WEBHOOK: Final = re.compile(r"https://hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/_-]{20,}")
_PEM_BEGIN: Final = re.compile(r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_PEM_END: Final = re.compile(r"-----END (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_IN_URL: Final = re.compile(
    r"\b[a-z][a-z0-9+.-]{1,15}://[^\s/:@'\"<>]{0,64}:(?P<value>[^\s/:@'\"<>]{6,128})@"
)

# `name = value`, where the name says that the value is secret. The value is judged by its entropy.
_ASSIGNED: Final = re.compile(
    r"(?i)(?:secret|passw(?:or)?d|passphrase|token|api[_-]?key|access[_-]?key|private[_-]?key|auth[_-]?key|credential)"
    r"[a-z0-9_-]{0,20}['\"]?\s{0,3}(?::=|=>|[:=])\s{0,3}['\"`]?(?P<value>[A-Za-z0-9_+/=.~!@#%^&*-]{12,200})"
)
_BEARER: Final = re.compile(r"(?i)\bbearer\s{1,3}(?P<value>[A-Za-z0-9_+/=.~-]{20,400})")
_AWS_SECRET: Final = re.compile(
    r"(?i)aws.{0,20}?(?:secret|key).{0,20}?['\"=:\s](?P<value>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+])"
)
_PLACEHOLDER: Final = re.compile(
    r"(?i)example|placeholder|changeme|change[_-]me|your[_-]|dummy|redacted|removed|xxxx|\*\*\*\*|\.\.\.|<|\$\{|\{\{|^(?:os|env|self|settings|process)\."
)
_MIN_BITS: Final = 3.3
"""Shannon entropy a character, in bits: English words have under 3.2, random hexadecimal about 3.6."""


def find_secrets(text: str) -> tuple[Secret, ...]:
    """Return the secrets found in `text`, in order, not overlapping; few false alarms, some misses."""
    found: list[Secret] = []
    line, counted = 1, 0
    for start, end, kind in _apart(sorted(_spans(text))):
        line += text.count("\n", counted, start)
        counted = start
        found.append(Secret(kind=kind, line=line, start=start, end=end))
    return tuple(found)


def redact(text: str, hide: tuple[str, ...] = ()) -> str:
    """Return `text` with every secret found replaced by "[secret removed: <kind>]".

    What `hide` names goes as "[key removed]", whatever shape it has; "" hides nothing.
    """
    for known in filter(None, hide):
        text = text.replace(known, "[key removed]")
    parts: list[str] = []
    at = 0
    for secret in find_secrets(text):
        parts += [text[at : secret.start], f"[secret removed: {secret.kind}]"]
        at = secret.end
    return "".join([*parts, text[at:]])


def redacted(value: Any, hide: tuple[str, ...] = (), names: frozenset[str] = frozenset()) -> Any:  # noqa: ANN401 - of the same shape
    """Return a plain value (as JSON has them) with every text in it redacted; fields called `names` stay."""
    match value:
        case str():
            return redact(value, hide)
        case list() | tuple():
            return [redacted(item, hide, names) for item in value]
        case dict():
            return {
                redact(str(name), hide): item if name in names else redacted(item, hide, names)
                for name, item in value.items()
            }
        case _:
            return value


def mask(text: str) -> str:
    """Return `text`, of the same length, with every character of a secret as `*`; ends of lines stay.

    What is masked once is not found again: masking twice changes nothing.
    """
    parts: list[str] = []
    at = 0
    for secret in find_secrets(text):
        hidden = text[secret.start : secret.end]
        parts += [text[at : secret.start], "".join("\n" if char == "\n" else "*" for char in hidden)]
        at = secret.end
    return "".join([*parts, text[at:]])


def _spans(text: str) -> Iterator[tuple[int, int, str]]:
    for match in _SHAPE.finditer(text):
        if not _PLACEHOLDER.search(match[0]):
            yield match.start(), match.end(), _SHAPES[int((match.lastgroup or "k0")[1:])][0]
    for match in _WEBHOOK.finditer(text):
        yield match.start(), match.end(), "slack webhook"
    yield from _private_keys(text)
    yield from _judged(text)


def _private_keys(text: str) -> Iterator[tuple[int, int, str]]:
    begin = _PEM_BEGIN.search(text)
    while begin is not None:
        closing = _PEM_END.search(text, begin.end())
        # A key without its end is cut off, not harmless: all that follows counts as the key.
        end = len(text) if closing is None else closing.end()
        yield begin.start(), end, "private key"
        begin = _PEM_BEGIN.search(text, end)


def _judged(text: str) -> Iterator[tuple[int, int, str]]:
    for kind, pattern in (("password in a url", _IN_URL), ("aws secret key", _AWS_SECRET)):
        for match in pattern.finditer(text):
            if not _PLACEHOLDER.search(match["value"]) and (
                kind != "aws secret key" or _random(match["value"])
            ):
                yield *match.span("value"), kind
    for pattern in (_ASSIGNED, _BEARER):
        for match in pattern.finditer(text):
            if _random(match["value"]):
                yield *match.span("value"), "assigned secret"


def _random(value: str) -> bool:
    """Return whether `value` looks drawn at random: digits and letters, enough entropy, no placeholder."""
    if (
        _PLACEHOLDER.search(value)
        or "/" in value[:2]
        or value.count("/") + value.count(".") > len(value) // 8
    ):
        return False
    if not (any(char.isdigit() for char in value) and any(char.isalpha() for char in value)):
        return False
    counts = Counter(value).values()
    return -sum(n / len(value) * log2(n / len(value)) for n in counts) >= _MIN_BITS


def _apart(spans: list[tuple[int, int, str]]) -> Iterator[tuple[int, int, str]]:
    reached = 0
    for start, end, kind in spans:
        if start >= reached:
            yield start, end, kind
            reached = end
