"""What is held against a change by looking at it, and what of it is set aside when its checks are run. Pure.

A change is judged against the commit it started from. Commands, configuration and existing tests count as
they stand there; whatever else could steer a test run (a new `conftest.py`, a `GNUmakefile` that goes before
the `Makefile`, a module named like the test runner) is neither run nor let through unless the contract names
it.
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from agentloop.domain.globs import matches
from agentloop.domain.secrets import find_secrets
from agentloop.domain.treepaths import objection
from agentloop.domain.valueclass import dataclass, field
from agentloop.domain.work import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agentloop.domain.changes import Change
    from agentloop.domain.settings import Limits, Target
    from agentloop.domain.work import Contract

Kind: TypeAlias = Literal["protected", "mode", "size", "secret", "empty", "scope", "tests", "hostile"]

PROTECTED: Final = (
    ".agentloop/**", ".buildkite/**", ".circleci/**", ".drone.yml", ".travis.yml", ".woodpecker.yml",
    ".woodpecker/**", "**/CODEOWNERS", "agentloop.toml", "appveyor.yml", "azure-pipelines.yml",
    "bitbucket-pipelines.yml", "Jenkinsfile",
)  # fmt: skip
"""What no change may touch, besides everything that begins with `.git`."""

HARMLESS_GIT_FILES: Final = frozenset({".gitignore", ".gitkeep"})

STEERING: Final = (
    "**/{conftest,sitecustomize,usercustomize}.py", "**/{site-packages,node_modules}/**",
    "**/{.coveragerc,.npmrc,.nycrc*,.rspec,.mocharc*,.taprc,bunfig.toml}",
    "**/{pytest.ini,.pytest.ini,pytest.toml,.pytest.toml,tox.ini,setup.cfg}",
    "**/{jest,vitest,karma,playwright,cypress,ava}.conf*", "**/vitest.workspace*",
    "{pytest,_pytest,unittest,pluggy}.py", "{pytest,_pytest,unittest,pluggy}/**",
    "{GNUmakefile,makefile,Justfile,.justfile}", "**/phpunit.xml*",
)  # fmt: skip
"""Files that change what a test run does without being a test: pytest's and others' documents name them."""

_OWN_MODULES: Final = sys.stdlib_module_names - {"test"}

FILE_MODES: Final = frozenset({"100644", "100755"})
_SHOWN: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff:
    """What a change changes: its files, and the lines it adds to each, with their numbers."""

    changes: tuple[Change, ...]
    added: dict[str, tuple[tuple[int, str], ...]] = field(default_factory=dict)
    whole: bool = True
    """False when there was more text than could be looked at."""

    @property
    def lines(self) -> tuple[int, int]:
        """Lines added and removed; binary files count for none."""
        pairs = [(change.added or 0, change.removed or 0) for change in self.changes]
        return sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs)


def scan(diff: Diff, contract: Contract, target: Target, limits: Limits) -> tuple[Finding, ...]:
    """Return all that is held against the change, at most a dozen of each kind."""
    if not diff.changes:
        return (_finding("empty", "diff", "nothing was changed"),)
    found = [
        *_hostile(diff.changes),
        *_protected(diff.changes, contract, target),
        *_tests(diff.changes, contract, target),
        *_out_of_scope(diff.changes, contract, target),
        *_size(diff, limits),
        *_secrets(diff),
    ]
    return tuple(_bounded(found))


def beyond_approval(diff: Diff, unapproved: tuple[str, ...]) -> tuple[Finding, ...]:
    """Return what is held against a change whose plan nobody approved: paths that ask for a person's word."""
    says = (
        "only an approved plan may touch this path (approval.paths): a plan that names it waits for a person"
    )
    touched = (change.path for change in diff.changes if unapproved and matches(change.path, unapproved))
    return tuple(_bounded([_finding("protected", path, says) for path in touched]))


def restored(changes: Iterable[Change], contract: Contract, target: Target) -> tuple[Change, ...]:
    """Return those changes that are undone before checks are run: configuration, existing tests, steering."""
    return tuple(change for change in changes if _is_restored(change, contract, target))


def _is_restored(change: Change, contract: Contract, target: Target) -> bool:
    if is_protected(change.path, target):
        return True
    if matches(change.path, contract.may_change_tests):
        return False
    if matches(change.path, target.configuration) or steers(change):
        return True
    return is_existing_test(change, target)


def is_protected(path: str, target: Target) -> bool:
    """Return whether no change may touch `path`, whatever its contract says."""
    names = path.casefold().split("/")
    of_git = any(name.startswith(".git") and name not in HARMLESS_GIT_FILES for name in names)
    return of_git or matches(path, PROTECTED) or matches(path, target.protected)


def steers(change: Change) -> bool:
    """Return whether the change could alter what a test run does without being a test.

    So does a new module with the name of one of Python's own where the interpreter looks first: every import
    of it, the test runner's too, would get the new one.
    """
    if matches(change.path, STEERING):
        return True
    module = change.path.removeprefix("src/").removesuffix("/__init__.py")
    is_python = change.path.endswith(".py")
    return change.is_new and is_python and module.removesuffix(".py") in _OWN_MODULES


def is_existing_test(change: Change, target: Target) -> bool:
    """Return whether the changed file is a test that was there before."""
    return not change.is_new and matches(change.path, target.tests)


def _finding(kind: Kind, about: str, says: str) -> Finding:
    return Finding(kind=kind, about=about, says=says)


def _hostile(changes: tuple[Change, ...]) -> Iterator[Finding]:
    for change in changes:
        why = None if change.is_gone else objection(change.raw_path)
        if why is not None:
            yield _finding("hostile", change.path, f"{change.path!a} {why}")
        if not change.is_gone and change.new_mode not in FILE_MODES:
            yield _finding("mode", change.path, f"mode {change.new_mode}: only plain files may be changed")


def _protected(changes: tuple[Change, ...], contract: Contract, target: Target) -> Iterator[Finding]:
    for change in changes:
        if is_protected(change.path, target):
            yield _finding("protected", change.path, "no change may touch this path")
        elif steers(change) and not matches(change.path, contract.may_change_tests):
            says = "it steers how tests are run; a change may do that only when its contract says so"
            yield _finding("tests", change.path, says)


def _tests(changes: tuple[Change, ...], contract: Contract, target: Target) -> Iterator[Finding]:
    for change in changes:
        allowed = matches(change.path, contract.may_change_tests) or steers(change)
        if is_existing_test(change, target) and not allowed and not is_protected(change.path, target):
            done = "deleted" if change.is_gone else "changed"
            says = f"an existing test was {done}: leave it as it is and put new tests into new files"
            yield _finding("tests", change.path, says)


def _out_of_scope(changes: tuple[Change, ...], contract: Contract, target: Target) -> Iterator[Finding]:
    if not contract.scope:
        return
    for change in changes:
        is_test = matches(change.path, target.tests)
        if not is_test and not matches(change.path, (*contract.scope, *contract.may_change_tests)):
            says = f"outside what this task is about ({', '.join(contract.scope)})"
            yield _finding("scope", change.path, says)


def _size(diff: Diff, limits: Limits) -> Iterator[Finding]:
    lines = sum(diff.lines)
    if lines > limits.diff_lines or not diff.whole:
        says = f"{lines} lines changed; at most {limits.diff_lines} may be (limits.diff_lines): do less"
        yield _finding("size", "lines", says)
    if len(diff.changes) > limits.diff_files:
        says = f"{len(diff.changes)} files changed; at most {limits.diff_files} may be (limits.diff_files)"
        yield _finding("size", "files", says)


def _secrets(diff: Diff) -> Iterator[Finding]:
    for path, lines in diff.added.items():
        for secret in find_secrets("\n".join(text for _, text in lines)):
            says = f"line {lines[secret.line - 1][0]} looks like a secret ({secret.kind})"
            yield _finding("secret", path, says)


def _bounded(findings: list[Finding]) -> Iterator[Finding]:
    seen: Counter[str] = Counter()
    for finding in findings:
        seen[finding.kind] += 1
        if seen[finding.kind] <= _SHOWN:
            yield finding
    for finding in {each.kind: each for each in findings}.values():
        more = seen[finding.kind] - _SHOWN
        if more > 0:
            yield Finding(kind=finding.kind, about="and more", says=f"{more} more of this kind")
