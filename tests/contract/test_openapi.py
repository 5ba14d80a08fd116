"""That the check against GitHub's description bites: what it must find wrong, and what it lets pass."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

import pytest

from agentloop.testing.github.server import Answer, Asked
from tests.contract.openapi import violations

Json: TypeAlias = Any

LABEL = {
    "id": 1,
    "node_id": "LA_1",
    "url": "https://api.github.com/repos/o/r/labels/bug",
    "name": "bug",
    "description": None,
    "color": "ededed",
    "default": False,
}


def told(
    method: str, path: str, body: Json = None, status: int = 200, answer: Json = None, **query: str
) -> int:
    """How many things are held against a call and its answer."""
    asked = Asked(
        method=method,
        path=path,
        query=query,
        headers={},
        body=b"" if body is None else json.dumps(body).encode(),
    )
    sent = b"" if answer is None else json.dumps(answer).encode()
    return len(violations(asked, Answer(status=status, headers={}, body=sent)))


@pytest.mark.parametrize(
    ("method", "path", "more"),
    [
        ("GET", "/repos/o/r/isues", {}),
        ("PATCH", "/repos/o/r/pulls/1", {"body": {"state": "merged"}}),
        ("POST", "/repos/o/r/issues", {"body": {"body": "no title"}, "status": 201}),
        ("POST", "/repos/o/r/issues/1/reactions", {"body": {"content": "thumbsup"}, "status": 201}),
        ("GET", "/repos/o/r/issues", {"answer": [], "sorted": "updated"}),
        ("GET", "/repos/o/r/issues", {"answer": [], "state": "merged"}),
        ("GET", "/repos/o/r/labels", {"answer": [{"name": "bug"}]}),
        ("GET", "/repos/o/r/labels", {"answer": [], "status": 202}),
    ],
)
def test_what_does_not_fit_is_found(method: str, path: str, more: dict[str, Any]) -> None:
    """A path, a state, a field, a reaction, a parameter, a value, a shape and a status that there are not."""
    assert told(method, path, **more) > 0


def test_what_fits_passes() -> None:
    """Among it a null where null is allowed, and the bare list of labels that GitHub takes undocumented."""
    assert told("GET", "/repos/o/r/labels", answer=[LABEL]) == 0
    assert told("POST", "/repos/o/r/issues/1/labels", body=["bug"], answer=[LABEL]) == 0
    assert told("GET", "/repos/o/r/issues", answer=[], state="all", per_page="1") == 0
