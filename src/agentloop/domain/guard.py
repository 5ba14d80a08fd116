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
    outlived: bool = False
    """Whether an approval holds for what is pushed after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the forge says of the token: its role there, and the branch's rules (None = it does not tell)."""

    login: str
    admin: bool
    rules: tuple[Ruled, ...] | None
    owner: str = ""
    """The login that the repository belongs to."""
    protected: bool = False
    """Whether the branch is protected in the older way, of which only administrators are told more."""


def could_merge(standing: Standing) -> str:
    """Return why the token could merge, or why nobody can tell; "" when it is proved unable."""
    if standing.admin:
        return f"{standing.login} administers the repository: it could lift any rule"
    if standing.rules is None:
        return "GitHub does not tell the branch's rules (on this plan there may be none)"
    good = [rule for rule in standing.rules if rule.approvals > 0 and rule.binds]
    if any(not rule.outlived for rule in good):
        return ""
    if good:
        return "an approval outlives what is pushed after it: what nobody has seen could be merged"
    none = f"no rule on the branch asks for an approval that binds {standing.login}"
    classic = "; its branch protection is told to administrators only: make it a ruleset"
    return none + (classic if standing.protected else "")


def same_identity(standing: Standing) -> str:
    """Return why it matters that the token is the owner's own; "" when it is somebody else's."""
    if standing.login.lower() != standing.owner.lower():
        return ""
    return (
        f"the token is {standing.login}'s own: GitHub tells nobody of their own activity, nobody can approve "
        "their own pull request, and an owner can lift any rule"
    )
