"""Holds calls and answers against GitHub's own description of its API (`github-openapi.json`, an excerpt).

`Described().hold(asked, answer)` notes what does not fit; `broken` says it. `scripts/openapi-excerpt.py`
makes the excerpt anew.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from jsonschema import Draft202012Validator

if TYPE_CHECKING:
    from agentloop.testing.github.server import Answer, Asked

Json: TypeAlias = Any
EXCERPT: Final = Path(__file__).with_name("github-openapi.json")
EVERYWHERE: Final = frozenset({"401", "403", "404", "410", "422", "429", "301", "304"})
"""Statuses that GitHub answers to any call, and documents for some: docs.github.com, "Troubleshooting"."""
GREEDY: Final = frozenset({"path", "ref", "name", "branch"})
_NO_CONTENT: Final = 204


@cache
def _description() -> Json:
    return _as_schema(json.loads(EXCERPT.read_text(encoding="utf-8")))


def _as_schema(node: Json) -> Json:
    """Return it with OpenAPI 3.0's `nullable` in the words of JSON Schema; formats are not looked at."""
    if isinstance(node, list):
        return [_as_schema(one) for one in node]
    if not isinstance(node, dict):
        return node
    made = {key: _as_schema(value) for key, value in node.items() if key != "format"}
    if made.pop("nullable", False) is not True:
        return made
    return {"anyOf": [made, {"type": "null"}]}


def _found(reference: str) -> Json:
    at = _description()
    for word in reference.split("/")[1:]:
        at = at[word]
    return at


def _meant(node: Json) -> Json:
    while "$ref" in node:
        node = _found(node["$ref"])
    return node


@cache
def _validator(where: str) -> Draft202012Validator:
    """Return the validator of the schema at `where`, a JSON text of it."""
    schema = json.loads(where)
    return Draft202012Validator({**schema, "components": _description()["components"]})


def _errors(schema: Json, value: Json, about: str) -> list[str]:
    found = _validator(json.dumps(schema, sort_keys=True)).iter_errors(value)
    return [f"{about} {'/'.join(map(str, one.absolute_path))}: {one.message[:160]}" for one in found]


@cache
def _routes() -> tuple[tuple[re.Pattern[str], str], ...]:
    paths = sorted(_description()["paths"], key=lambda path: (-path.count("/"), path.count("{")))
    return tuple((_pattern(path), path) for path in paths)


def _pattern(path: str) -> re.Pattern[str]:
    def group(found: re.Match[str]) -> str:
        return ".+" if found[1] in GREEDY else r"\d+" if found[1].endswith(("_id", "number")) else "[^/]+"

    return re.compile(re.sub(r"\{(\w+)\}", group, path))


def violations(asked: Asked, answer: Answer) -> list[str]:
    """Return where a call or its answer is not as GitHub describes it; nothing for GraphQL and git."""
    if "graphql" in asked.path:
        return []
    method = asked.method.lower()
    fitting = (path for pattern, path in _routes() if pattern.fullmatch(asked.path))
    found = next((path for path in fitting if method in _description()["paths"][path]), None)
    if found is None:
        return [f"GitHub describes no {asked.method} {asked.path}"]
    shared = _description()["paths"][found].get("parameters", [])
    operation = _description()["paths"][found][method]
    about = f"{asked.method} {found}"
    return [
        *_of_query(shared + operation.get("parameters", []), asked, about),
        *_of_body(operation, asked, about),
        *_of_answer(operation, answer, about),
    ]


def _of_query(parameters: list[Json], asked: Asked, about: str) -> list[str]:
    known = {one["name"]: one for one in map(_meant, parameters) if one["in"] == "query"}
    told = []
    for name, word in asked.query.items():
        if name not in known:
            told.append(f"{about}: there is no query parameter {name}")
            continue
        schema = _meant(known[name]["schema"])
        value = int(word) if schema.get("type") == "integer" and word.isdecimal() else word
        told += _errors(schema, value, f"{about}?{name}")
    return told


def _of_body(operation: Json, asked: Asked, about: str) -> list[str]:
    wanted = _meant(operation["requestBody"]) if "requestBody" in operation else None
    if not asked.body:
        return [f"{about}: a body is missing"] if wanted and wanted.get("required") else []
    if wanted is None:
        return [f"{about}: takes no body"] if json.loads(asked.body) else []
    body = json.loads(asked.body)
    if isinstance(body, list) and about.endswith("/labels"):
        return []  # a bare list of labels is what PyGithub sends and GitHub takes; only the description lags
    return _errors(wanted["content"]["application/json"]["schema"], body, f"{about} asks")


def _of_answer(operation: Json, answer: Answer, about: str) -> list[str]:
    responses, status = operation["responses"], str(answer.status)
    if status not in responses:
        return [] if status in EVERYWHERE else [f"{about}: {status} is no answer that is described"]
    content = _meant(responses[status]).get("content", {}).get("application/json")
    if not content or answer.status == _NO_CONTENT or not answer.body:
        return []
    return _errors(content["schema"], json.loads(answer.body), f"{about} answers {status}")


@dataclass(slots=True)
class Described:
    """What was seen so far: how many different calls, and what of them does not fit."""

    broken: list[str] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)

    def hold(self, asked: Asked, answer: Answer) -> None:
        """Look at a call with its answer, once."""
        one = hash((asked.method, asked.path, asked.raw_query, asked.body, answer.status, answer.body))
        if one in self.seen:
            return
        self.seen.add(one)
        self.broken += [each for each in violations(asked, answer) if each not in self.broken]
