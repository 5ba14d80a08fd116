"""The gate on real repositories: patches that cheat are red, and their honest twins are green."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agentloop import exits
from agentloop.domain.codec import decode, encode
from agentloop.domain.settings import Limits, Target, Worker
from agentloop.domain.work import Check, Contract, Finding, GateBroken, GateSpec, Task, Verdict
from agentloop.gate.checkout import read_diff
from agentloop.gate.policy import scan
from agentloop.home import Home

KEY = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
RUN_GATE = """
import sys
from pathlib import Path
from agentloop.gate.run import main
sys.exit(main(sys.argv[1], Path(sys.argv[2])))
"""
PYTEST = f"{sys.executable} -m pytest -q -p no:cacheprovider"

PATCHY = [
    "diff --git a/x b/x\n",
    "+++ b/x\n",
    "--- a/x\n",
    "@@ -0,0 +1,9 @@\n",
    "\\ No newline\n",
    "a\rb\n",
    "\n",
]

JS_TEST = "test('one', () => expect(one()).toBe(1))\ntest('two', () => expect(two()).toBe(2))\n"
OTHERS = {
    "timelib/tests/testtimelib.py": "import unittest\n",
    "timelib/tests/expected.json": "[1]\n",
    "app/tests.py": "import unittest\n",
    "pkg/testdata/golden.txt": "2\n",
    "web/src/__snapshots__/app.test.js.snap": "exports[`a`] = `3`;\n",
    "web/src/app.test.js": JS_TEST,
    "web/src/app.spec.ts": JS_TEST,
    "web/src/__tests__/app.js": JS_TEST,
    "web/test/setup.js": "\n",
    "cmd/main_test.go": "package main\n\nfunc TestA(t *testing.T) {}\n",
    "src/pkg/testing/doubles.py": "X = 1\n",
    "app/calendar.py": "X = 1\n",
}
"""Tests where other projects have them, only to be looked at: nothing runs them here."""

BASE = {
    "calc.py": "def add(a, b):\n    return a - b\n",
    "conftest.py": "",
    "pytest.ini": "[pytest]\n",
    "Makefile": f"check:\n\t{PYTEST} tests\n",
    "tests/test_old.py": "from calc import add\n\n\ndef test_zero():\n    assert add(0, 0) == 0\n",
    "tests/test_add.py": "from calc import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n",
}
FIXED = {"calc.py": "def add(a, b):\n    return a + b\n"}


@dataclass
class Land:
    """A repository whose base commit has a failing test, and a home that gates changes to it."""

    root: Path
    base: str = ""

    @property
    def repo(self) -> Path:
        """The target's repository, bare; the gate reads it as its mirror."""
        return self.root / "repo.git"

    @property
    def home(self) -> Path:
        """The home of the loop."""
        return self.root / "home"

    def git(self, *args: str, input: bytes = b"", index: str = "index") -> str:  # noqa: A002 -- subprocess's word
        """What git says in the repository."""
        env = os.environ | {"GIT_INDEX_FILE": str(self.root / index)}
        done = subprocess.run(
            ["git", "-C", str(self.repo), *args], input=input, env=env, check=True, capture_output=True
        )
        return done.stdout.decode().strip()

    def commit(self, files: Mapping[str, str | bytes | None], parent: str = "") -> str:
        """Commit `files` over `parent` by plumbing, so that names no checkout would take are possible."""
        self.git("read-tree", *([parent] if parent else ["--empty"]))
        for path, text in files.items():
            data = text.encode() if isinstance(text, str) else text
            mode = (
                "0 " + "0" * 40
                if data is None
                else "100644 " + self.git("hash-object", "-w", "--stdin", input=data)
            )
            self.git("update-index", "--replace", "-z", "--index-info", input=f"{mode}\t{path}\0".encode())
        words = ["-p", parent] if parent else []
        return self.git("commit-tree", self.git("write-tree"), *words, "-m", "a change")

    def spec(self, commit: str, **changes: object) -> GateSpec:
        """The gate's spec for a commit, with `changes` to it."""
        contract = Contract(
            goal="add adds", criteria=("1 + 2 = 3",), checks=(Check(name="tests", command=PYTEST),)
        )
        target = Target(name="calc", repository=str(self.repo), verify=("make check",))
        spec = GateSpec(
            attempt="1.1.1",
            task=Task(id="1.1", issue="1", title="Mend add", kind="change", contract=contract, target="calc"),
            base=self.base,
            commit=commit,
            folder=str(self.home / ".agentloop/gates/1.1.1"),
            mirror=str(self.repo),
            deadline=datetime.now(UTC) + timedelta(minutes=5),
            limits=Limits(),
            worker=Worker(sandbox="none"),
            target=target,
        )
        return replace(spec, **changes)  # type: ignore[arg-type]

    def seen(self, commit: str, base: str) -> tuple[Finding, ...]:
        """What is held against a commit by looking at it."""
        spec = replace(self.spec(commit), base=base)
        target = replace(spec.target, protected=("infra/**",))
        return scan(read_diff(spec), spec.task.contract, target, spec.limits)

    def start(self, spec: GateSpec) -> subprocess.Popen[bytes]:
        """The gate as a process of its own."""
        folder = Home(self.home).gate(spec.attempt)
        folder.root.mkdir(parents=True, exist_ok=True)
        folder.spec.write_text(json.dumps(encode(spec)))
        env = os.environ | {"ANTHROPIC_API_KEY": "canary-in-the-gate"}
        command = [sys.executable, "-c", RUN_GATE, spec.attempt, str(self.home)]
        return subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)

    def verdict(self, spec: GateSpec) -> Verdict | GateBroken:
        """What a fresh gate on `spec` leaves."""
        folder = Home(self.home).gate(spec.attempt)
        shutil.rmtree(folder.root, ignore_errors=True)
        code = self.start(spec).wait(120)
        assert folder.verdict.exists(), code
        found: Verdict | GateBroken = decode(Verdict | GateBroken, json.loads(folder.verdict.read_bytes()))
        return found

    def judged(self, spec: GateSpec) -> Verdict:
        """The verdict of a fresh gate on `spec`."""
        found = self.verdict(spec)
        assert isinstance(found, Verdict), found
        return found


@pytest.fixture
def land(tmp_path: Path) -> Land:
    """A fresh repository with the base commit."""
    made = Land(root=tmp_path)
    made.home.mkdir()
    subprocess.run(["git", "init", "-q", "--bare", str(made.repo)], check=True)
    made.base = made.commit(BASE)
    return made


def wait_for(sign: Callable[[], bool]) -> None:
    """Wait until `sign` holds."""
    until = time.monotonic() + 90
    while not sign():
        assert time.monotonic() < until
        time.sleep(0.01)


def about(verdict: Verdict, kind: str) -> set[str]:
    """What the findings of a kind are about."""
    return {finding.about for finding in verdict.findings if finding.kind == kind}


def test_an_honest_change_is_green_with_its_evidence(land: Land) -> None:
    """A real fix with a new test passes: every check is told with its status, bound to the commit."""
    commit = land.commit({**FIXED, "tests/test_new.py": "def test_new():\n    assert True\n"}, land.base)
    verdict = land.judged(land.spec(commit))
    assert verdict.green, verdict
    assert [(check.name, check.status) for check in verdict.checks] == [("tests", 0), ("verify 1", 0)]
    assert "3 passed" in verdict.checks[0].output
    assert (verdict.commit, verdict.base, verdict.files, verdict.added, verdict.removed) == (
        commit,
        land.base,
        2,
        3,
        1,
    )
    assert not verdict.sandboxed
    assert land.judged(land.spec(commit)).evidence == verdict.evidence


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
def test_an_honest_change_is_green_in_the_sandbox(land: Land) -> None:
    """The same in bubblewrap, where git works too, and neither key nor home can be seen."""
    commit = land.commit(FIXED, land.base)
    spec = land.spec(commit, worker=Worker(sandbox="bubblewrap"))
    checks = (
        Check(name="tests", command=PYTEST),
        Check(name="git", command="git status --porcelain && git log --oneline && git diff HEAD~1 --stat"),
        Check(name="key", command="! env | grep canary"),
        Check(name="home", command=f"! ls {land.home}/.agentloop/gates/1.1.1/spec.json"),
    )
    contract = replace(spec.task.contract, checks=checks)
    verdict = land.judged(replace(spec, task=replace(spec.task, contract=contract)))
    assert verdict.green, verdict
    assert verdict.sandboxed


CHEATS: dict[str, tuple[dict[str, str | bytes | None], str]] = {
    "deletes the failing test": ({"tests/test_add.py": None}, "tests"),
    "empties the failing test": ({"tests/test_add.py": ""}, "tests"),
    "skips the failing test": (
        {"tests/test_add.py": f"import pytest\npytestmark = pytest.mark.skip\n{BASE['tests/test_add.py']}"},
        "tests",
    ),
    "moves the failing test away": (
        {"tests/test_add.py": None, "tests/old/add.txt": BASE["tests/test_add.py"]},
        "tests",
    ),
    "makes a folder of the failing test": ({"tests/test_add.py/x.py": "x\n"}, "tests"),
    "weakens conftest.py": ({"conftest.py": "collect_ignore = ['tests/test_add.py']\n"}, "tests"),
    "adds a conftest.py that deselects": (
        {"tests/conftest.py": "def pytest_collection_modifyitems(items):\n    items[:] = items[:1]\n"},
        "tests",
    ),
    "changes pytest.ini": ({"pytest.ini": "[pytest]\naddopts = --ignore=tests/test_add.py\n"}, "tests"),
    "adds a nested pytest.ini": ({"tests/pytest.ini": "[pytest]\npython_files = test_old.py\n"}, "tests"),
    "adds setup.cfg": ({"setup.cfg": "[tool:pytest]\naddopts = --co\n"}, "tests"),
    "adds sitecustomize.py": ({"sitecustomize.py": "import os\nos._exit(0)\n"}, "tests"),
    "adds to an environment": ({".venv/lib/site-packages/x.pth": "import os\n"}, "tests"),
    "shadows pytest by a module": ({"pytest.py": "print('9 passed')\n"}, "tests"),
    "shadows pytest by a package": ({"pytest/__main__.py": "print('9 passed')\n"}, "tests"),
    "adds a GNUmakefile before the Makefile": ({"GNUmakefile": "check:\n\ttrue\n"}, "tests"),
    "shadows a module of Python's by one": ({"contextlib.py": "raise SystemExit(0)\n"}, "tests"),
    "shadows a module of Python's by a package": ({"src/inspect/__init__.py": "\n"}, "tests"),
    "brings an installed package along": ({"web/node_modules/jest/index.js": "process.exit(0)\n"}, "tests"),
    "empties a test inside the package": ({"timelib/tests/testtimelib.py": ""}, "tests"),
    "deletes the tests inside the package": ({"timelib/tests/testtimelib.py": None}, "tests"),
    "changes what a test compares with": ({"timelib/tests/expected.json": "[]\n"}, "tests"),
    "changes a test module beside the code": ({"app/tests.py": "\n"}, "tests"),
    "changes golden data": ({"pkg/testdata/golden.txt": "3\n"}, "tests"),
    "accepts a new snapshot": ({"web/src/__snapshots__/app.test.js.snap": "exports[`a`] = `4`;\n"}, "tests"),
    "switches a JavaScript test off": (
        {"web/src/app.test.js": JS_TEST.replace("test(", "test.skip(")},
        "tests",
    ),
    "lets only the passing JavaScript test run": (
        {"web/src/app.spec.ts": JS_TEST.replace("test('one", "test.only('one")},
        "tests",
    ),
    "deletes a JavaScript test": ({"web/src/__tests__/app.js": None}, "tests"),
    "weakens a JavaScript test's helper": (
        {"web/test/setup.js": "global.expect = () => new Proxy({})\n"},
        "tests",
    ),
    "renames a JavaScript test out of sight": (
        {"web/src/app.test.js": None, "web/src/app.js.old": JS_TEST},
        "tests",
    ),
    "adds a configuration for jest": ({"web/jest.config.js": "module.exports = {testMatch: []}\n"}, "tests"),
    "adds a configuration for vitest": (
        {"vitest.config.ts": "export default {test: {include: []}}\n"},
        "tests",
    ),
    "adds a configuration for mocha": ({".mocharc.json": '{"spec": []}\n'}, "tests"),
    "adds a configuration for npm": ({".npmrc": "ignore-scripts=true\nscript-shell=/bin/true\n"}, "tests"),
    "empties a Go test": ({"cmd/main_test.go": "package main\n"}, "tests"),
    "changes a workflow": ({**FIXED, ".github/workflows/ci.yml": "on: push\n"}, "protected"),
    "changes attributes": ({**FIXED, ".gitattributes": "* filter=x\n"}, "protected"),
    "changes the loop's settings": ({**FIXED, "agentloop.toml": "x = 1\n"}, "protected"),
    "changes who reviews": ({**FIXED, "docs/CODEOWNERS": "* @me\n"}, "protected"),
    "changes what the target protects": ({**FIXED, "infra/prod.tf": "x\n"}, "protected"),
    "brings a key in": ({**FIXED, "k.py": f"x = 1\nK = '{KEY}'\n"}, "secret"),
    "hides a key behind a NUL": ({**FIXED, "k.bin": f"\0\n'{KEY}'\n".encode()}, "secret"),
    "makes a key look like a patch": (
        {**FIXED, "k.txt": f"++ b/other\ndiff --git a/x b/x\n@@ -0,0 +1 @@\n{KEY}\n"},
        "secret",
    ),
    "changes too much": ({**FIXED, "long.py": "x = 1\n" * 900}, "size"),
    "changes too many files": ({**FIXED, **{f"f{n}.txt": "x\n" for n in range(70)}}, "size"),
    "brings a name with control characters in": ({**FIXED, "a\x1b[31m.py": "x\n"}, "hostile"),
}


@pytest.mark.parametrize("name", CHEATS)
def test_a_cheating_change_is_found_by_looking(land: Land, name: str) -> None:
    """Each way to pass without having done it is said under the right name, before anything is run."""
    files, kind = CHEATS[name]
    base = land.commit(OTHERS, land.base)
    assert kind in {finding.kind for finding in land.seen(land.commit(files, base), base)}


RUN: dict[str, dict[str, str | bytes | None]] = {
    "changes the Makefile's check": {"Makefile": "check:\n\ttrue\n"},
    "adds a conftest.py that lies at the end": {
        "tests/conftest.py": "def pytest_sessionfinish(session):\n    session.exitstatus = 0\n"
    },
    "ends pytest from a new test": {"tests/test_aaa.py": "import os\nos._exit(0)\n"},
    "ends pytest from the code": {"calc.py": "import os\nos._exit(0)\n"},
    "rewrites the test while it runs": {
        "calc.py": (
            "import pathlib\n"
            "pathlib.Path(__file__).parent.joinpath('tests/test_add.py').write_text('def test_x(): pass')\n"
            "def add(a, b):\n    return a - b\n"
        )
    },
    "does nothing of use": {"notes.md": "done\n"},
    "lets the failing test be skipped": {
        "calc.py": (
            "import unittest\n\n\ndef add(a, b):\n    if a:\n        raise unittest.SkipTest\n    return 0\n"
        )
    },
    "lets the failing test be expected to fail": {
        "calc.py": "import pytest\n\n\ndef add(a, b):\n    return pytest.xfail('later') if a else 0\n"
    },
    "ends pytest in its own words": {
        "calc.py": "import pytest\n\n\ndef add(a, b):\n    pytest.exit('enough', returncode=0)\n"
    },
    "has the last word about the exit code": {
        "calc.py": "import atexit, os\natexit.register(os._exit, 0)\n\n\ndef add(a, b):\n    return a - b\n"
    },
    "leaves while it is loaded": {"calc.py": "import sys\nsys.exit(0)\n"},
    "speaks for the test runner": {
        "calc.py": "import os\nos.write(1, b'2 passed in 0.01s\\n')\nos._exit(0)\n"
    },
}


@pytest.mark.parametrize("name", RUN)
def test_a_cheating_change_is_found_by_running(land: Land, name: str) -> None:
    """What cannot be seen in a diff shows when the base's own checks are run on it."""
    assert not land.judged(land.spec(land.commit(RUN[name], land.base))).green


def test_checks_run_against_the_base_whatever_the_change_does_to_them(land: Land) -> None:
    """A change that guts tests, configuration and commands meets those of its base: the failing one fails."""
    gutted: dict[str, str | bytes | None] = {
        "tests/test_add.py": "def test_nothing():\n    pass\n",
        "tests/test_old.py": None,
        "pytest.ini": "[pytest]\naddopts = --co\n",
        "Makefile": "check:\n\ttrue\n",
        "GNUmakefile": "check:\n\ttrue\n",
        "pytest.py": "print('2 passed')\n",
        "tests/conftest.py": "collect_ignore_glob = ['*']\n",
    }
    verdict = land.judged(land.spec(land.commit(gutted, land.base)))
    assert [(check.name, check.status) for check in verdict.checks] == [("tests", 1), ("verify 1", 2)]
    assert all("1 failed, 1 passed" in check.output for check in verdict.checks)


HONEST: dict[str, dict[str, str | bytes | None]] = {
    "adds tests beside those in the package": {**FIXED, "timelib/tests/testmore.py": "import unittest\n"},
    "adds a JavaScript test with its snapshot": {
        **FIXED,
        "web/src/new.test.js": JS_TEST,
        "web/src/__snapshots__/new.test.js.snap": "exports[`a`] = `1`;\n",
    },
    "changes what the project ships for others' tests": {**FIXED, "src/pkg/testing/doubles.py": "X = 2\n"},
    "adds a module named like one of Python's in a package": {**FIXED, "app/queue.py": "X = 1\n"},
    "changes a module named like one of Python's": {**FIXED, "app/calendar.py": "X = 2\n"},
    "adds code whose name sounds like a test": {**FIXED, "contest/latest.py": "X = 1\n"},
    "adds a test in a new file": {**FIXED, "tests/test_more.py": "def test_more():\n    assert 1\n"},
    "adds a module called like a tool in a package": {**FIXED, "pkg/coverage.py": "X = 1\n"},
    "changes .gitignore": {**FIXED, ".gitignore": "*.log\n"},
    "keeps an empty folder": {**FIXED, "data/.gitkeep": ""},
    "adds an example key": {**FIXED, "doc.md": "token = 'your_token_here'\n"},
    "deletes a file that is no test": {**FIXED, "README": None},
    "adds a test of a test runner's name": {
        **FIXED,
        "tests/test_pytest_names.py": "def test_n():\n    pass\n",
    },
    "adds binary data": {**FIXED, "logo.png": bytes(range(256))},
    "names a file in another script": {**FIXED, "docs/日本語 grüße.md": "hi\n"},
}


@pytest.mark.parametrize("name", HONEST)
def test_nothing_is_held_against_an_honest_twin(land: Land, name: str) -> None:
    """What looks like a cheat and is none passes."""
    base = land.commit(OTHERS, land.base)
    assert land.seen(land.commit(HONEST[name], base), base) == ()


def test_all_honest_twins_together_are_green(land: Land) -> None:
    """And when they are run, they are green."""
    every = {path: text for files in HONEST.values() for path, text in files.items()}
    verdict = land.judged(land.spec(land.commit(every, land.base)))
    assert verdict.green, verdict


def test_a_test_that_became_a_folder_is_run_as_the_file_it_was(land: Land) -> None:
    """File and folder of one name: what stood on the base wins."""
    verdict = land.judged(land.spec(land.commit({"tests/test_add.py/x.py": "x = 1\n"}, land.base)))
    assert "1 failed, 1 passed" in verdict.checks[0].output


def test_added_lines_are_told_by_counting_not_by_looks(land: Land) -> None:
    """Files full of what patches are made of are read line by line, each under its own name and number."""
    files: dict[str, str | bytes | None] = {
        f"f{number}": "".join(choice * (number + 1) for choice in (PATCHY[number:] + PATCHY[:number]))
        for number in range(len(PATCHY))
    }
    before = land.commit(dict.fromkeys(list(files)[::2], "first\nlast"), land.base)
    commit = land.commit({**files, "tests/test_old.py": None}, before)
    diff = read_diff(replace(land.spec(commit), base=before))
    assert {change.path: change.added for change in diff.changes if change.added} == {
        path: len(lines) for path, lines in diff.added.items()
    }
    for path, lines in diff.added.items():
        whole = str(files[path]).split("\n")
        assert [whole[number - 1] for number, _ in lines] == [text for _, text in lines]


def test_a_link_that_became_a_file_does_not_shift_the_rest(land: Land) -> None:
    """Such a change is two entries in a patch; what follows keeps its name."""
    land.git("read-tree", land.base)
    link = land.git("hash-object", "-w", "--stdin", input=b"calc.py")
    land.git("update-index", "--add", "--cacheinfo", f"120000,{link},a-link")
    before = land.git("commit-tree", land.git("write-tree"), "-p", land.base, "-m", "a link")
    land.git("read-tree", before)
    commit = land.commit({"a-link": "text\n", "z.py": f"K = '{KEY}'\n"}, before)
    spec = replace(land.spec(commit), base=before)
    found = scan(read_diff(spec), spec.task.contract, spec.target, spec.limits)
    assert [(finding.kind, finding.about) for finding in found] == [("secret", "z.py")]


def test_a_contract_can_open_tests_and_nothing_else(land: Land) -> None:
    """Tests that the contract names may change and count as changed; the others do not."""
    files: dict[str, str | bytes | None] = {
        "calc.py": "def add(a, b):\n    return a + b + 1\n",
        "tests/test_add.py": "from calc import add\n\n\ndef test_add():\n    assert add(1, 2) == 4\n",
        "tests/test_old.py": None,
    }
    spec = land.spec(land.commit(files, land.base))
    contract = replace(spec.task.contract, may_change_tests=("tests/test_add.py",))
    verdict = land.judged(replace(spec, task=replace(spec.task, contract=contract)))
    assert about(verdict, "tests") == {"tests/test_old.py"}
    assert "1 failed, 1 passed" in verdict.checks[0].output


def test_a_change_outside_its_scope_is_red_but_new_tests_belong_to_it(land: Land) -> None:
    """The contract's globs bound the change; tests of it may be anywhere where tests are."""
    files: dict[str, str | bytes | None] = {
        **FIXED,
        "other.py": "x = 1\n",
        "tests/test_n.py": "def test_n():\n    pass\n",
    }
    spec = land.spec(land.commit(files, land.base))
    contract = replace(spec.task.contract, scope=("calc.py",))
    verdict = land.judged(replace(spec, task=replace(spec.task, contract=contract)))
    assert about(verdict, "scope") == {"other.py"}


def test_an_empty_change_is_red_and_runs_nothing(land: Land) -> None:
    """A result equal to its base is no result."""
    verdict = land.judged(land.spec(land.commit({}, land.base)))
    assert (about(verdict, "empty"), verdict.checks) == ({"diff"}, ())


def test_no_check_at_all_shows_nothing(land: Land) -> None:
    """Where neither contract nor target says how to check, nothing is proved."""
    spec = land.spec(land.commit(FIXED, land.base))
    contract = replace(spec.task.contract, checks=())
    spec = replace(spec, task=replace(spec.task, contract=contract), target=replace(spec.target, verify=()))
    assert about(land.judged(spec), "check") == {"none"}


def test_a_check_that_tests_nothing_is_suspicious(land: Land) -> None:
    """Exit 0 with no test run is a finding, for pytest and unittest alike."""
    spec = land.spec(land.commit(FIXED, land.base))
    checks = (
        Check(
            name="unittest", command=f"{sys.executable} -m unittest discover -s tests -p 'nothing*' || true"
        ),
        Check(name="pytest", command=f"{PYTEST} -k nothing || true"),
    )
    contract = replace(spec.task.contract, checks=checks)
    verdict = land.judged(replace(spec, task=replace(spec.task, contract=contract)))
    assert about(verdict, "check") == {"unittest", "pytest"}


def test_without_the_gate_layer_only_the_contracts_checks_are_run(land: Land) -> None:
    """Switched off, the gate neither scans nor runs the target's own commands."""
    commit = land.commit({**FIXED, "agentloop.toml": "x\n"}, land.base)
    verdict = land.judged(land.spec(commit, scan=False))
    assert verdict.green
    assert [check.name for check in verdict.checks] == ["tests"]


def test_a_check_that_never_ends_is_stopped_and_red(land: Land) -> None:
    """The time limit of a check is one; what was said until then is kept."""
    spec = land.spec(land.commit(FIXED, land.base))
    slow = (Check(name="slow", command="echo begun; sleep 300"),)
    contract = replace(spec.task.contract, checks=slow)
    spec = replace(spec, task=replace(spec.task, contract=contract), target=replace(spec.target, verify=()))
    for seconds in (18, 40, 90):  # three of them, or more on a machine that is so busy, are the check's
        verdict = land.judged(replace(spec, deadline=datetime.now(UTC) + timedelta(seconds=seconds)))
        if verdict.checks and verdict.checks[0].output:
            break
    assert (verdict.checks[0].status, "begun" in verdict.checks[0].output) == (None, True)
    assert about(verdict, "check") == {"slow"}


def test_secrets_in_output_are_taken_out(land: Land) -> None:
    """What a check prints goes into pull requests: no key may be in it."""
    spec = land.spec(land.commit(FIXED, land.base))
    contract = replace(spec.task.contract, checks=(Check(name="loud", command=f"echo {KEY}"),))
    verdict = land.judged(replace(spec, task=replace(spec.task, contract=contract)))
    assert KEY not in verdict.checks[0].output
    assert "secret removed" in verdict.checks[0].output


def test_output_is_bounded(land: Land) -> None:
    """A check may print megabytes; the verdict keeps the ends."""
    spec = land.spec(land.commit(FIXED, land.base))
    contract = replace(spec.task.contract, checks=(Check(name="long", command="seq 1 500000"),))
    verdict = land.judged(replace(spec, task=replace(spec.task, contract=contract)))
    assert len(verdict.checks[0].output) < 8_400
    assert verdict.checks[0].output.endswith("500000\n")


def test_two_gates_on_one_result_are_one(land: Land) -> None:
    """The claim is made once: the second process says so by its exit code, and the verdict is the first's."""
    spec = land.spec(land.commit(FIXED, land.base))
    first = land.start(spec)
    folder = Home(land.home).gate(spec.attempt)
    wait_for(folder.claim.exists)
    assert json.loads(folder.claim.read_bytes())["pid"] == first.pid
    assert land.start(spec).wait(60) == exits.BUSY
    assert first.wait(120) == exits.OK
    assert land.start(spec).wait(60) == exits.OK
    assert folder.heartbeat.exists()
    assert not folder.tree.exists()


def test_a_gate_without_a_spec_says_so(land: Land) -> None:
    """A missing or mangled spec is an exit code, not a traceback."""
    folder = Home(land.home).gate("1.1.1")
    folder.root.mkdir(parents=True)
    folder.spec.write_text("{")
    command = [sys.executable, "-c", RUN_GATE, "1.1.1", str(land.home)]
    done = subprocess.run(command, check=False, capture_output=True)
    assert (done.returncode, done.stderr) == (exits.NOT_FOUND, b"")


def test_a_gate_that_cannot_judge_says_nothing_about_the_commit(land: Land) -> None:
    """A commit that the mirror does not have is the machinery's trouble: GateBroken, not red."""
    found = land.verdict(land.spec("0" * 40))
    assert isinstance(found, GateBroken)


def test_a_killed_gate_leaves_nothing_in_the_way_of_the_next(land: Land) -> None:
    """SIGKILL in the middle, the claim taken back: the next run makes everything anew and is green."""
    spec = land.spec(land.commit(FIXED, land.base))
    contract = replace(spec.task.contract, checks=(Check(name="slow", command=f"sleep 1; {PYTEST}"),))
    spec = replace(spec, task=replace(spec.task, contract=contract))
    folder = Home(land.home).gate(spec.attempt)
    first = land.start(spec)
    wait_for((folder.tree / "calc.py").exists)
    first.send_signal(signal.SIGKILL)
    first.wait()
    wait_for(
        lambda: not busy_with(folder.root)
    )  # what ends a killed run's processes would end the next one's
    folder.claim.unlink()
    assert land.start(spec).wait(120) == exits.OK
    found = decode(Verdict | GateBroken, json.loads(folder.verdict.read_bytes()))
    assert isinstance(found, Verdict)
    assert found.green


def busy_with(folder: Path) -> bool:
    """Whether a process works in the folder, or was told of it."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if str(folder).encode() in (process / "cmdline").read_bytes():
                return True
            if (process / "cwd").readlink().is_relative_to(folder):
                return True
    return False


TIMELIB = {
    "timelib/__init__.py": "def seconds(text):\n    return int(text.rstrip('s'))\n",
    "timelib/tests/__init__.py": "",
    "timelib/tests/testtimelib.py": "import unittest\n\nfrom timelib import seconds\n\n\n"
    "class TestSeconds(unittest.TestCase):\n"
    + "".join(
        f"    def test_{n}(self):\n        self.assertEqual(seconds('{n}s'), {n})\n\n" for n in range(12)
    ),
}
UNITTEST = f"{sys.executable} -m unittest discover -s timelib/tests -p 'test*.py' -t ."
GUTTED: dict[str, str | bytes | None] = {
    "timelib/__init__.py": "def seconds(text):\n    return 0\n",
    "timelib/tests/testtimelib.py": "",
    "timelib/tests/testnew.py": "import unittest\n\n\nclass TestNew(unittest.TestCase):\n"
    + "".join(f"    def test_{n}(self):\n        pass\n\n" for n in range(3)),
}


def gutting(land: Land, files: Mapping[str, str | bytes | None] = GUTTED, **target: object) -> GateSpec:
    """A gate on a change to a library that keeps its tests inside the package."""
    base = land.commit(TIMELIB)
    spec = replace(land.spec(land.commit(files, base)), base=base)
    contract = replace(spec.task.contract, checks=(Check(name="tests", command=UNITTEST),))
    return replace(
        spec,
        task=replace(spec.task, contract=contract),
        target=replace(spec.target, verify=(), **target),  # type: ignore[arg-type]
    )


def test_emptying_the_tests_inside_a_package_is_red(land: Land) -> None:
    """They are known as tests, held against the change, and run as they were: the changed behaviour fails."""
    verdict = land.judged(gutting(land))
    assert about(verdict, "tests") == {"timelib/tests/testtimelib.py"}
    assert (verdict.checks[0].passed, verdict.checks[0].before) == (False, "passed")
    assert verdict.notes[0] == "Removes 42 lines from `timelib/tests/testtimelib.py`"


def test_tests_that_no_glob_knows_are_missed_by_their_number(land: Land) -> None:
    """Where the settings know no test, the count of those that ran on the base tells that some went."""
    verdict = land.judged(gutting(land, tests=("nothing/**",)))
    check = verdict.checks[0]
    assert (check.passed, check.before, check.tests, check.tests_before) == (True, "passed", 3, 12)
    assert [(each.kind, each.about) for each in verdict.findings] == [("tests", "tests")]
    assert verdict.findings[0].says.startswith("it ran 3 tests; 12 ran on the base")
    assert verdict.notes[0].startswith("Removes 42 lines")


def test_a_run_that_tells_no_number_any_more_is_red(land: Land) -> None:
    """Code that ends unittest with 0 before it comes to its end leaves no count: it had one on the base."""
    files = {"timelib/__init__.py": "import os\n\n\ndef seconds(text):\n    os._exit(0)\n"}
    verdict = land.judged(gutting(land, files))
    assert (verdict.checks[0].passed, verdict.checks[0].tests) == (True, None)
    assert about(verdict, "tests") == {"tests"}
    assert verdict.notes == ("`timelib/__init__.py`, line 5, ends the process on the spot",)


def test_where_the_contract_opens_tests_some_may_go_and_a_person_is_told(land: Land) -> None:
    """A test of what is to go may go; the pull request says how many, and half of them have to stay."""
    whole = TIMELIB["timelib/tests/testtimelib.py"]
    verdicts = {}
    for left in (11, 3):
        kept = whole[: whole.index(f"    def test_{left}(")]
        spec = gutting(land, {"timelib/tests/testtimelib.py": kept})
        contract = replace(spec.task.contract, may_change_tests=("timelib/tests/**",))
        verdicts[left] = land.judged(replace(spec, task=replace(spec.task, contract=contract)))
    assert (verdicts[11].green, verdicts[11].notes) == (
        True,
        ("Of 'tests': it ran 11 tests; 12 ran on the base",),
    )
    assert about(verdicts[3], "tests") == {"tests"}


def test_a_check_that_failed_before_and_passes_now_says_so(land: Land) -> None:
    """The best evidence: seen on the base once, remembered for the next gate on it, and paid once."""
    spec = land.spec(land.commit({**FIXED, "tests/test_new.py": "def test_new():\n    pass\n"}, land.base))
    first, again = land.judged(spec), land.judged(spec)
    told = [(check.before, check.tests, check.tests_before) for check in first.checks]
    assert told == [("failed", 3, 2), ("failed", 3, 2)]
    assert [(check.before, check.tests, check.tests_before) for check in again.checks] == told
    kept = list(Home(land.home).baselines.iterdir())
    assert len(kept) == 2
    spoiled = {"is": "before", "status": 0, "tests": 99}
    for path in kept:
        path.write_text(json.dumps(spoiled))
    assert {check.tests_before for check in land.judged(spec).checks} == {99}


def test_commands_that_build_on_each_other_are_known_together_or_not_at_all(land: Land) -> None:
    """A second command that needs the first is not run alone on the base, even when the first is known."""
    spec = land.spec(land.commit({**FIXED, "more.py": ""}, land.base))
    contract = replace(spec.task.contract, checks=())
    first = replace(spec, task=replace(spec.task, contract=contract))
    one = replace(first, target=replace(spec.target, verify=("touch built",)))
    both = replace(first, target=replace(spec.target, verify=("touch built", "test -e built")))
    assert [check.before for check in land.judged(one).checks] == ["passed"]
    assert [check.before for check in land.judged(both).checks] == ["passed", "passed"]


def test_without_time_or_set_up_nothing_is_known_of_the_base(land: Land) -> None:
    """The look at the base never costs the verdict: no time left, or a set-up that fails there: unknown."""
    spec = land.spec(land.commit({**FIXED, "ready": ""}, land.base))
    slow = replace(spec.task.contract, checks=(Check(name="slow", command="sleep 3"),))
    late = replace(
        spec,
        task=replace(spec.task, contract=slow),
        target=replace(spec.target, verify=()),
        deadline=datetime.now(UTC) + timedelta(seconds=20),
    )
    verdict = land.judged(late)
    assert (verdict.green, verdict.checks[0].before) == (True, "unknown")
    target = replace(spec.target, setup="test -e ready", verify=("true",))
    verdict = land.judged(replace(spec, target=target))
    assert (verdict.green, {check.before for check in verdict.checks}) == (True, {"unknown"})


def test_a_test_framework_without_tests_is_red_in_every_tongue(land: Land) -> None:
    """pytest, unittest and what npm runs: an empty run that ends with 0 is no evidence."""
    spec = land.spec(land.commit({**FIXED, "empty/__init__.py": ""}, land.base))
    commands = {
        "pytest": f"{PYTEST} empty || true",
        "unittest": f"{sys.executable} -m unittest discover -s empty || true",
        "npm": "printf '\\n> jest --passWithNoTests\\n\\nNo tests found, exiting with code 0\\n'",
        "npm init": "printf '> test\\n> echo \"Error: no test specified\"\\n\\nError: no test specified\\n'",
        "mocha": "printf '\\n\\n  0 passing (1ms)\\n\\n'",
    }
    checks = tuple(Check(name=name, command=command) for name, command in commands.items())
    contract = replace(spec.task.contract, checks=checks)
    verdict = land.judged(replace(spec, task=replace(spec.task, contract=contract)))
    assert about(verdict, "check") == set(commands)
