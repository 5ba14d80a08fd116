"""The check that every write of the relay passes, and that a person can run."""

from __future__ import annotations

from collections.abc import Iterator

from agentloop.domain.relay.size import CAP_TOKENS, core_tokens
from agentloop.domain.relay.text import HEADINGS, HUMAN, lines_of, salvage, section_of
from agentloop.domain.relay.values import Problem, Relay


def lint(text: str) -> tuple[Problem, ...]:
    """Return every problem of a relay's text, in the order of its lines; empty when there is none.

    Structure (stamp, sections, items, exactly one next action), size of the core's part (2,000 tokens),
    secrets anywhere, and bytes that are no text (invalid UTF-8 arrives here as lone surrogates).
    """
    relay, problems = salvage(text)
    found = [*problems, *_plan(text, relay), *_secrets(text), *_no_text(text)]
    return tuple(sorted(found, key=lambda problem: problem.line))


def _plan(text: str, relay: Relay) -> Iterator[Problem]:
    if not relay.plan.next_action:
        at = next((n for n, line in enumerate(lines_of(text), start=1) if section_of(line) == "next"), 1)
        yield Problem(line=at, what=f"nothing under “{HEADINGS['next']}”", fix="say what is to be done next")
    size = core_tokens(relay)
    if size > CAP_TOKENS:
        yield Problem(
            line=1,
            what=f"the part above “{HUMAN}” is about {size} tokens; the cap is {CAP_TOKENS}",
            fix="leave it to the next cycle, which moves the oldest to memories/archive/",
        )


def _secrets(text: str) -> Iterator[Problem]:
    from agentloop.domain.secrets import find_secrets

    for secret in find_secrets(text):
        yield Problem(
            line=secret.line,
            what=f"a secret ({secret.kind}); the relay is not committed while it is there",
            fix="take it out and revoke it: .agentloop/relay/ keeps old versions of the file",
        )


def _no_text(text: str) -> Iterator[Problem]:
    for number, line in enumerate(lines_of(text), start=1):
        if "\0" in line:
            yield Problem(line=number, what="a NUL byte", fix="take it out; it is kept as it is until then")
        if any("\udc80" <= char <= "\udcff" for char in line):
            yield Problem(
                line=number,
                what="bytes that are not UTF-8",
                fix="save the file as UTF-8; they are kept until then",
            )
