"""The one glob dialect: what each sign means, and that it stays quick."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.domain.globs import matches, may_meet
from agentloop.domain.settings import Target

YES = [
    ("Makefile", "Makefile"),
    ("docs/a/b.md", "docs"),
    ("docs/a/b.md", "docs/"),
    ("docs/a/b.md", "./docs/a"),
    ("tests/test_a.py", "tests/**"),
    ("tests/deep/er/test_a.py", "tests/**"),
    ("tests", "tests/**"),
    ("test_a.py", "**/test_*.py"),
    ("a/b/test_a.py", "**/test_*.py"),
    ("src/x.py", "src/*.py"),
    ("src/a/b/x.py", "src/**/x.py"),
    ("src/x.py", "src/**/**/x.py"),
    ("src/x.ts", "src/**/*.{js,ts}"),
    ("a1", "a[0-9]"),
    ("ab", "a?"),
    ("anything/at/all", "**"),
    ("tests/x.py", "**/tests/**"),
    ("a/tests/b/x.py", "**/tests/**"),
    ("a/x_test.go", "**/*_{test,tests}.*"),
    ("a\nb.py", "**/*.py"),
]
NO = [
    ("sub/Makefile", "Makefile"),
    ("docsy/a.md", "docs"),
    ("src/a/x.py", "src/*.py"),
    ("src/x.py", "*.py"),
    ("x.PY", "*.py"),
    ("src/x.jsx", "src/**/*.{js,ts}"),
    ("a/b", "a?b"),
    ("mytests/x", "tests/**"),
    ("anything", ""),
    ("mytests/x.py", "**/tests/**"),
    ("a/x_test.go/y", "**/*_test.go"),
    ("testing.py", "**/test[!i]*.py"),
]
TESTS = [
    "tests/a.py", "test/a.js", "pkg/tests/testtimeparse.py", "pkg/tests/data/in.txt",
    "src/test/java/a/Helper.java", "Tests/A.swift", "app/tests.py", "app/test.py", "pkg/test_a.py",
    "pkg/testtimeparse.py", "pkg/a_test.py", "cmd/a_test.go", "src/a.test.tsx", "src/a.spec.ts",
    "src/__tests__/a.js", "src/__snapshots__/a.snap", "spec/models/user_spec.rb", "spec/spec_helper.rb",
    "spec/support/login.rb", "spec/fixtures/a.yml", "src/ATest.java", "src/ATests.cs", "Foo.Tests/Bar.cs",
    "Foo.UnitTests/Bar.csproj", "conftest.py", "pkg/conftest.py", "pkg/testdata/golden.txt", "test/a.bats",
    "t/00-basic.t", "e2e/login.ts", "cypress/e2e/a.cy.js", "features/login.feature", "test_a.c",
    "lib/foo-test.js", "unittests/a.cpp", "src/ParserSpec.hs",
]  # fmt: skip
NO_TESTS = [
    "setup.py", "src/pkg/testing/doubles.py", "numpy/testing.py", "pkg/contest.py", "src/latest.js",
    "docs/attest.md", "src/TypeSpec.java", "spec/openapi.yaml", "docs/api-spec.yaml", "package.spec",
    "src/main/java/a/Test.md", "src/protest/a.py", "src/tester/a.go", "src/inspect.py",
    "fixtures/initial.json", "README.md",
]  # fmt: skip


@pytest.mark.parametrize(("path", "glob"), YES)
def test_a_path_that_a_glob_means_matches(path: str, glob: str) -> None:
    """Each sign of the dialect, on a path it stands for."""
    assert matches(path, [glob])


@pytest.mark.parametrize(("path", "glob"), NO)
def test_a_path_that_a_glob_does_not_mean_does_not_match(path: str, glob: str) -> None:
    """Each sign of the dialect, on a path just beyond it."""
    assert not matches(path, [glob])


def test_no_globs_match_nothing() -> None:
    """An empty list of globs is no glob, and not every path."""
    assert not matches("a", [])


@given(st.lists(st.sampled_from(["a", "b", "c.py", "ä"]), min_size=1, max_size=6).map("/".join))
def test_a_plain_path_matches_itself_its_folders_and_everything(path: str) -> None:
    """A path is matched by its own name, by each folder above it, and by `**`."""
    parts = path.split("/")
    folders = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
    assert all(matches(path, [folder]) for folder in folders)
    assert matches(path, ["**"])


def test_a_spiteful_glob_is_answered_quickly() -> None:
    """Repeated `**` and braces cost no more than a table's worth of steps."""
    assert not matches("/".join(["a"] * 200), ["/".join(["**", "a"] * 100) + "/b", "{a,b}" * 40])


@pytest.mark.parametrize("path", TESTS)
def test_tests_are_known_wherever_languages_put_them(path: str) -> None:
    """The default globs know tests, and what lies beside them, by the names that test runners look for."""
    assert matches(path, Target(name="a", repository=".").tests)


@pytest.mark.parametrize("path", NO_TESTS)
def test_product_code_is_not_taken_for_tests(path: str) -> None:
    """What only sounds like a test may be changed like everything else; `testing` is what projects ship."""
    assert not matches(path, Target(name="a", repository=".").tests)


def test_a_long_list_of_globs_is_answered_quickly() -> None:
    """A gate asks for every file of a repository, around every check: thousands take a moment."""
    globs = Target(name="a", repository=".").tests
    began = time.process_time()
    assert not any(matches(f"src/pkg{n % 50}/mod{n}/deep/file{n}.py", globs) for n in range(5000))
    assert time.process_time() - began < 10


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        ("src/a.py", "src/a.py", True),
        ("src/a.py", "src/b.py", False),
        ("src/a/**", "src/b/**", False),
        ("src/**", "src/a.py", True),
        ("src", "src/a/b.py", True),
        ("**/*.py", "docs/*.md", True),  # two patterns are not solved against each other: it could be
        ("src/*.py", "docs/readme.md", False),
        ("src/{a,b}.py", "src/b.py", True),
        (".", "anything", True),
    ],
)
def test_two_globs_that_could_name_one_path_meet(one: str, other: str, *, meet: bool) -> None:
    """Either way round."""
    assert (may_meet(one, (other,)), may_meet(other, (one,))) == (meet, meet)


@given(st.sampled_from(YES), st.sampled_from(YES))
def test_globs_that_match_the_same_path_always_meet(one: tuple[str, str], other: tuple[str, str]) -> None:
    """The answer may be a false yes, never a false no."""
    path, glob = one
    if matches(path, (other[1],)):
        assert may_meet(glob, (other[1],))
