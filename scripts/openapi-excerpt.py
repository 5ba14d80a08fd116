"""Writes tests/contract/github-openapi.json: GitHub's description of the calls that we use, and no more.

`python scripts/openapi-excerpt.py FILE`, where FILE is `generated/api.github.com.json` of the npm package
`@octokit/openapi` (MIT, as GitHub's own rest-api-description is). Words for people, examples and extensions
are left out: what is held against it are shapes, enums, required fields and documented statuses.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any, Final, TypeAlias

Json: TypeAlias = Any
EXCERPT: Final = Path(__file__).resolve().parents[1] / "tests/contract/github-openapi.json"
WITHOUT: Final = frozenset({"description", "summary", "example", "examples", "externalDocs", "tags", "title"})
METHODS: Final = frozenset({"get", "post", "patch", "put", "delete"})
WANTED: Final = re.compile(
    r"/user|/rate_limit|/users/\{username\}|/app/installations/\{installation_id\}/access_tokens"
    r"|/repos/\{owner\}/\{repo\}(/installation)?"
    r"|/repos/\{owner\}/\{repo\}/(issues|labels|pulls|commits|check-runs|statuses|rules|rulesets)(/.*)?"
    r"|/repos/\{owner\}/\{repo\}/(git/refs?|actions/jobs|branches/\{branch\})(/[^/]*)?(/logs)?"
    r"|/repos/\{owner\}/\{repo\}/actions/runs(/\{run_id\}/jobs)?"
    r"|/repos/\{owner\}/\{repo\}/collaborators(/\{username\}(/permission)?)?"
)


def main(source: Path) -> None:
    """Read the whole description and write the excerpt."""
    whole = json.loads(source.read_text(encoding="utf-8"))
    paths: dict[str, dict[str, Json]] = {}
    for method, path in _wanted(whole["paths"]):
        shared = {
            name: whole["paths"][path][name] for name in ("parameters",) if name in whole["paths"][path]
        }
        paths.setdefault(path, shared)[method] = whole["paths"][path][method]
    kept = _bare(paths)
    components = _reached(kept, whole)
    info = {name: whole["info"][name] for name in ("version", "license")}
    source_of = (
        "npm @octokit/openapi, from GitHub's rest-api-description; reduced by scripts/openapi-excerpt.py"
    )
    told = {"info": {**info, "source": source_of}, "paths": kept, "components": components}
    EXCERPT.write_text(json.dumps(told, sort_keys=True, separators=(",", ":")) + "\n", encoding="utf-8")


def _wanted(paths: dict[str, Json]) -> list[tuple[str, str]]:
    """Return (method, path) of every call on what a loop could have to do with in a repository."""
    ours = [path for path in paths if WANTED.fullmatch(path)]
    return [(method, path) for path in ours for method in paths[path] if method in METHODS]


def _bare(node: Json, *, names: bool = False) -> Json:
    """Return it without what people read; `names`: the keys are names of properties, and all of them stay."""
    if isinstance(node, dict):
        return {
            key: _bare(value, names=key in ("properties", "schemas", "paths") and not names)
            for key, value in node.items()
            if names or (key not in WITHOUT and not key.startswith("x-"))
        }
    return [_bare(one) for one in node] if isinstance(node, list) else node


def _reached(kept: Json, whole: Json) -> Json:
    """Return the components that are referred to, by others too."""
    found: dict[str, dict[str, Json]] = {}
    left = [kept]
    while left:
        for reference in re.findall(r'"\$ref": "#/components/(\w+)/([^"]+)"', json.dumps(left.pop())):
            kind, name = reference
            if name not in found.setdefault(kind, {}):
                found[kind][name] = _bare(whole["components"][kind][name])
                left.append(found[kind][name])
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]))
