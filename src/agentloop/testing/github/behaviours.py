"""What this GitHub models beyond shapes, each by name, with where it was read.

`Hub(behaviours=EVERY - {…})` switches one off: a test does so for each, and must turn red, so that none of
them is here without anybody relying on it.
"""

from __future__ import annotations

from enum import Enum
from typing import Final


class Behaviour(Enum):
    """A behaviour: what it is, and the page of GitHub's docs it was read on ("seen": in recorded answers)."""

    CONDITIONAL = (
        "an unchanged answer is 304 for its ETag, and costs no rate limit",
        "rest/using-the-rest-api/best-practices",
    )
    ETAG_OF_TOKEN = (
        "an ETag is of one token: another asks anew",
        "seen",
    )
    PAGES = (
        "lists come in pages of at most 100, 30 unless asked, with a Link header",
        "rest/using-the-rest-api/using-pagination",
    )
    SINCE = (
        "`since` leaves out what was updated before, to the second, itself included",
        "rest/issues/issues",
    )
    PULLS_AMONG_ISSUES = (
        "lists of issues hold pull requests too",
        "rest/issues/issues",
    )
    PRIMARY_LIMIT = (
        "so many requests an hour, said in every answer; then 403 with remaining 0",
        "rest/using-the-rest-api/rate-limits",
    )
    SECONDARY_LIMIT = (
        "writes too close together are 403 with retry-after: rest/using-the-rest-api/rate-limits"
    )
    BAD_CREDENTIALS = (
        "an unknown, expired or revoked token is 401, not 404",
        "rest/authentication",
    )
    HIDDEN = (
        "what a token may not read is 404, what it may not write is 403",
        "rest/using-the-rest-api/troubleshooting",
    )
    ARCHIVED = (
        "an archived repository takes no writes: 403",
        "repositories/archiving-a-github-repository",
    )
    RENAMED = (
        "a renamed repository answers 301 with where it is now",
        "rest/using-the-rest-api/best-practices",
    )
    GONE = (
        "a deleted issue answers 410",
        "rest/issues/issues",
    )
    LOCKED = (
        "a locked thread takes comments only from who may write",
        "communities/moderating-comments",
    )
    BODY_LIMIT = (
        "a body has at most 65,536 characters",
        "seen",
    )
    ONE_PULL_A_BRANCH = (
        "a second pull request for a branch is 422",
        "rest/pulls/pulls",
    )
    NO_EMPTY_PULL = (
        "a branch with nothing new cannot be proposed",
        "rest/pulls/pulls",
    )
    MERGEABLE_LATER = (
        "whether a pull request can be merged is null when first asked after a change: rest/pulls/pulls"
    )
    NO_OWN_REVIEW = (
        "nobody approves their own pull request",
        "pull-requests/reviewing-changes",
    )
    REVIEWERS = (
        "only collaborators can be asked for a review, and not the author",
        "rest/pulls/review-requests",
    )
    LINES_ARE_REVIEWS = (
        "a comment on a line outside of a review is a review of its own, without words",
        "seen",
    )
    LATEST_STATUS = (
        "of a commit's statuses the latest of each context is told",
        "rest/commits/statuses",
    )
    LOGS_ELSEWHERE = (
        "a job's log is kept on another host, to which the API leads, and which takes no token",
        "rest/actions/workflow-jobs",
    )
    LABELS_MADE = (
        "putting on a label that is not there makes it",
        "seen",
    )
    ONE_REACTION = (
        "the same reaction again is the first one, with 200",
        "rest/reactions/reactions",
    )
    DRAFTS_BY_GRAPHQL = (
        "only GraphQL makes a draft ready",
        "graphql/reference/mutations",
    )
    EDITS_BY_GRAPHQL = (
        "who edited a body when is told by GraphQL only",
        "graphql/reference/interfaces",
    )
    TIMELINE = (
        "who set a label when, and when a title was changed, is told by an issue's timeline",
        "graphql/reference/objects: LabeledEvent, RenamedTitleEvent",
    )
    THREE_PINS = (
        "a repository pins three issues at most, by GraphQL only",
        "issues/tracking-your-work-with-issues/administering-issues/pinning-an-issue-to-your-repository",
    )
    CLOSING_WORDS = (
        "merging into the default branch closes what the body says it closes: issues/tracking-your-work"
    )
    BRANCH_CLOSES = (
        "deleting a branch closes its pull requests",
        "pull-requests/collaborating",
    )
    PROTECTED = (
        "rules refuse pushes and merges that they bind",
        "repositories/configuring-branches",
    )
    RULES_BY_PLAN = (
        "a plan without rules answers 403 when asked for them",
        "rest/repos/rules",
    )
    SIGNED_HOOKS = (
        "deliveries are signed with the hook's secret: webhooks/using-webhooks/validating-webhook-deliveries"
    )


EVERY: Final = frozenset(Behaviour)
