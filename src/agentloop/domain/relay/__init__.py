"""The relay: the baton from one cycle to the next. Pure values and rules; `edges/relay.py` has the file."""

from agentloop.domain.relay.delta import NewDecision, RelayDelta, apply, out_of_bounds
from agentloop.domain.relay.lint import lint
from agentloop.domain.relay.merge import Merged, merge, merge_human
from agentloop.domain.relay.safe import without_secrets
from agentloop.domain.relay.size import CAP_TOKENS, core_tokens, fit, left_behind, tokens
from agentloop.domain.relay.stall import Stall, stalled
from agentloop.domain.relay.text import (
    Stamp,
    clean,
    parse,
    render,
    salvage,
    split,
    stamp_in,
    stamp_of,
    untouched,
)
from agentloop.domain.relay.values import FIRST, Facts, KeyDecision, Plan, Problem, Relay, clean_facts

__all__ = [
    "CAP_TOKENS",
    "FIRST",
    "Facts",
    "KeyDecision",
    "Merged",
    "NewDecision",
    "Plan",
    "Problem",
    "Relay",
    "RelayDelta",
    "Stall",
    "Stamp",
    "apply",
    "clean",
    "clean_facts",
    "core_tokens",
    "fit",
    "left_behind",
    "lint",
    "merge",
    "merge_human",
    "out_of_bounds",
    "parse",
    "render",
    "salvage",
    "split",
    "stalled",
    "stamp_in",
    "stamp_of",
    "tokens",
    "untouched",
    "without_secrets",
]
