"""Whether a token could merge what it opens: asked of the forge, and answered here.

A token that may write contents can merge a pull request unless a rule stops it. The one rule that does is an
approval by somebody else: nobody approves their own pull request. What cannot be known counts as could.
"""

from __future__ import annotations

from agentloop.domain.valueclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruled:
    """A rule on the branch that pull requests go into: approvals it takes, and whether it binds the token."""

    approvals: int
    binds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the forge says of the token: its role there, and the branch's rules (None = it does not tell)."""

    login: str
    admin: bool
    rules: tuple[Ruled, ...] | None


def could_merge(standing: Standing) -> str:
    """Return why the token could merge, or why nobody can tell; "" when it is proved unable."""
    if standing.admin:
        return f"{standing.login} administers the repository: it could lift any rule"
    if standing.rules is None:
        return "GitHub does not tell the branch's rules (on this plan there may be none)"
    if not any(rule.approvals > 0 and rule.binds for rule in standing.rules):
        return f"no rule on the branch asks for an approval that binds {standing.login}"
    return ""
