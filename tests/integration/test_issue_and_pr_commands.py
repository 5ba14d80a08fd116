"""`agentloop issue` and `agentloop pr` as a person and as a program use them, from the command line."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.text import Text

from agentloop import compiled, exits
from agentloop.cli import app
from agentloop.domain.effects import OpenPull, Push
from agentloop.edges.forge import FileForge
from agentloop.edges.runfolder import take_wake
from agentloop.home import Home
from agentloop.testing import gitrepo

SECRET_CODE = "\x1b]0;owned\x07"


class Terminal:
    """Runs command lines in this process, and reads what they print."""

    def __init__(
        self, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.home = home
        self._capsys = capsys
        self._monkeypatch = monkeypatch

    def __call__(self, *args: str, stdin: str = "", code: int = exits.OK) -> str:
        """Return what is printed, errors behind results; the exit code must be `code`."""
        given = io.TextIOWrapper(io.BytesIO(stdin.encode()))
        self._monkeypatch.setattr(sys, "stdin", given)
        assert app.run(args) == code
        out, err = self._capsys.readouterr()
        return out + err

    def json(self, *args: str, stdin: str = "") -> Any:  # noqa: ANN401 -- whatever was printed
        """Return what is printed with --json, and nothing else may be printed."""
        said = json.loads(self(*args, "--json", stdin=stdin))
        assert said.pop("schema") == 1
        return said

    def woken(self) -> tuple[str, ...]:
        """Why the loop was woken since the last look."""
        return take_wake(str(self.home))


@pytest.fixture
def terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A home with one target, and a person in it."""
    origin = gitrepo.checkout(tmp_path / "origin", {"app.py": "one\n"})
    home = tmp_path / "home"
    home.mkdir()
    (home / "agentloop.toml").write_text(f'[[target]]\nname = "web"\nrepository = "{origin}"\n')
    monkeypatch.chdir(home)
    monkeypatch.setenv("COLUMNS", "80")
    return Terminal(home, capsys, monkeypatch)


def proposed(terminal: Terminal, text: str = "1\n") -> Path:
    """Have the loop open a pull request, and return the origin's folder."""
    home = Home(terminal.home)
    origin = terminal.home.parent / "origin"
    forge = FileForge(home, compiled.load(home))
    mirror = gitrepo.mirror(origin, home.mirror_of("web"))
    commit = gitrepo.commit_in(mirror, gitrepo.head(origin, "main"), {"app.py": text}, "work")
    branch = "agentloop/1.1-crash"
    forge.act("push", Push(target="web", branch=branch, commit=commit))
    forge.act("open", OpenPull(target="web", branch=branch, base="main", title="Fix it", body="Intent."))
    return origin


def test_an_issue_is_filed_listed_shown_and_closed(terminal: Terminal) -> None:
    """The whole life of an issue, as a person reads it."""
    assert "filed issue 1: It crashes" in terminal(
        "issue", "new", "It crashes", "--body", "Always.", "-l", "high"
    )
    assert terminal.woken() == ("issue 1 filed",)
    terminal("issue", "comment", "1", "Still there.")
    assert terminal.woken() == ("comment on issue 1",)
    listed = terminal("issue", "list")
    assert ("It crashes" in listed, "high" in listed) == (True, True)
    shown = terminal("issue", "show", "1")
    assert ("Always." in shown, "Still there." in shown) == (True, True)
    assert "issue 1: high, bug" in terminal("issue", "label", "1", "--add", "bug")
    terminal("issue", "close", "1", "--reason", "Never mind.")
    assert "no open issues" in terminal("issue", "list")
    assert "is closed already" in terminal("issue", "close", "1", code=exits.CONFLICT)
    terminal("issue", "reopen", "1")
    assert "It crashes" in terminal("issue", "list")


def test_a_program_reads_stable_json(terminal: Terminal) -> None:
    """Names and types of the fields, with a schema version."""
    made = terminal.json("issue", "new", "It crashes", "--stdin", "-l", "bug", stdin="From a pipe.\n")[
        "issue"
    ]
    created = made.pop("created_at")
    assert created.endswith("Z")
    assert made == {
        "id": "1", "number": 1, "title": "It crashes", "state": "open", "priority": "normal",
        "labels": ["bug"], "target": "", "author": made["author"],
        "path": str(terminal.home / "tracker/issues/0001.md"),
        "problems": [], "comment_count": 0, "body": "From a pipe.", "comments": [],
    }  # fmt: skip
    assert terminal.json("issue", "comment", "1", "--stdin", stdin="Piped.") == {
        "issue": "1",
        "comment": "c1",
    }
    (comment,) = terminal.json("issue", "show", "1")["issue"]["comments"]
    assert (comment["body"], comment["ours"], comment["trusted"]) == ("Piped.", False, True)
    compact = terminal("issue", "list", "--json", "--compact")
    assert compact.count("\n") == 1
    assert "problems" not in json.loads(compact)["issues"][0]


def test_a_long_list_is_cut_and_says_how_to_see_more(terminal: Terminal) -> None:
    """For people and for programs."""
    for n in range(3):
        terminal("issue", "new", f"Issue {n}")
    shown = terminal("issue", "list", "--limit", "2")
    assert "2 of 3; all: agentloop issue list --state open --limit 3" in shown
    assert "Issue 0" not in shown
    said = terminal.json("issue", "list", "--limit", "2")
    assert ([each["id"] for each in said["issues"]], said["total"]) == (["3", "2"], 3)
    assert said["more"] == "agentloop issue list --state open --limit 3"


def test_errors_say_what_to_do(terminal: Terminal, tmp_path: Path) -> None:
    """Each with its own exit code."""
    said = terminal("issue", "show", "9", code=exits.NOT_FOUND)
    assert said == "error: there is no issue '9'\n  fix: agentloop issue list --state all\n"
    assert "needs words" in terminal("issue", "comment", "9", " ", code=exits.CONFLICT)
    assert "there are no words" in terminal("issue", "comment", "9", code=exits.CONFLICT)
    assert "needs a title" in terminal("issue", "new", "--no-input", code=exits.CONFLICT)
    assert "no terminal for an editor" in terminal("issue", "new", code=exits.CONFLICT)
    assert "the targets in agentloop.toml: web" in terminal(
        "issue", "new", "It crashes", "--target", "wbe", code=exits.NOT_FOUND
    )
    assert "agentloop init" in terminal("issue", "list", "--home", str(tmp_path), code=exits.HOME)
    terminal("issue", "nonsense", code=exits.USAGE)


def test_words_do_not_steer_the_terminal(terminal: Terminal) -> None:
    """Nor are they taken for markup."""
    terminal("issue", "new", f"[red]It{SECRET_CODE}", "--body", f"[bold]{SECRET_CODE}[/nonsense]")
    terminal("issue", "comment", "1", f"{SECRET_CODE}[/]")
    proposed(terminal, f"{SECRET_CODE}[/x]\n")
    said = "".join(
        terminal(*command) for command in (("issue", "list"), ("issue", "show", "1"), ("pr", "show", "1"))
    )
    assert "\x1b" not in said
    assert "[red]It" in said
    assert "[/nonsense]" in said


def test_a_terminal_gets_markdown_rendered(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """All words and the ends of lines stay, addresses and HTML are text; `--raw`, or a pipe: as it is."""
    body = "**Why** and <b>how</b>\nsecond [here](http://x.invalid/)\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
    terminal("issue", "new", "It crashes", "--body", f"{body}\n<script>x</script>\n")
    assert "**Why** and <b>how</b>\n" in terminal("issue", "show", "1")
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes this for a terminal
    monkeypatch.setenv("NO_COLOR", "1")
    shown = Text.from_ansi(terminal("issue", "show", "1")).plain
    assert ("**Why**" in shown, "|---|" in shown) == (False, False)
    assert [words for words in ("Why and <b>how</b>", "<script>x</script>") if words not in shown] == []
    assert any(line.startswith("second here (http://x.invalid/)") for line in shown.split("\n"))
    assert "**Why** and" in Text.from_ansi(terminal("issue", "show", "1", "--raw")).plain


def test_a_title_is_not_shown_twice(terminal: Terminal) -> None:
    """A file whose first line is its title has it in its text as well."""
    issues = terminal.home / "tracker" / "issues"
    issues.mkdir(parents=True)
    (issues / "plain.md").write_text("It crashes\n\nAlways.\n")
    (issues / "then.md").write_text("# It stops\n\nOften.\n")
    said = terminal("issue", "show", "1") if terminal("issue", "list") else ""
    other = terminal("issue", "show", "2")
    assert (said.count("It crashes"), other.count("It stops")) == (1, 1)
    assert ("Always." in said, "Often." in other) == (True, True)


def test_what_the_loop_passes_over_is_said(terminal: Terminal) -> None:
    """Files that become no issue, and issues whose file makes no sense, with what to do about them."""
    issues = terminal.home / "tracker" / "issues"
    issues.mkdir(parents=True)
    files = {"bin.md": b"\xff\xfe\0", "empty.md": b"\n", "note.txt": b"x", "torn.md": b"---\ntitle: x\n"}
    for name, data in files.items():
        (issues / name).write_bytes(data)
    said = terminal("issue", "list")
    assert said.startswith("no open issues")
    for words in (
        "no issue: bin.md: it is no UTF-8 text; ",
        "no issue: empty.md: it is empty; ",
        "no issue: note.txt: its name does not end in .md; ",
        "no issue: torn.md: the front matter has no closing '---' line",
    ):
        assert words in said
    found = terminal.json("issue", "list")
    assert (found["total"], Path(found["passed_over"][0]["path"])) == (0, issues / "bin.md")
    terminal("issue", "new", "One")
    path = issues / "0001.md"
    path.write_text(path.read_text().replace("author:", ">>>>> author"))
    assert "issue 1 waits until its file is mended" in terminal("issue", "list")
    assert "the loop leaves it alone until the file is mended" in terminal("issue", "show", "1")


def test_a_pull_request_is_reviewed_sent_back_and_merged(terminal: Terminal) -> None:
    """The whole life of a pull request, as a person reads it."""
    origin = proposed(terminal)
    assert "waits for you" in terminal("pr", "list")
    assert "+1\n" in terminal("pr", "diff", "1")
    assert "sent back" in terminal("pr", "review", "1", "--request-changes", "Use the parser.")
    assert terminal.woken() == ("review of pull request 1",)
    assert "changes requested" in terminal("pr", "list")
    terminal("pr", "check", "1", "--name", "unit tests", "--state", "failed", "--summary", "2 failed")
    shown = terminal("pr", "show", "1")
    assert ("Use the parser." in shown, "✗ unit tests failed" in shown) == (True, True)
    (origin / "app.py").write_text("mine\n")
    refused = terminal("pr", "merge", "1", code=exits.CONFLICT)
    assert "changes that are not committed (app.py); nothing was merged" in refused
    gitrepo.git(origin, "checkout", "--quiet", "app.py")
    merged = terminal("pr", "merge", "1")
    assert "is merged into main" in merged
    assert "warning: the check unit tests is failed" in merged
    assert "requested changes and has not approved since" in merged
    assert (origin / "app.py").read_text() == "1\n"
    assert "merged" in terminal("pr", "list", "--state", "closed")


def test_a_merge_is_told_when_the_checkouts_files_are_durable(terminal: Terminal, tmp_path: Path) -> None:
    """After a power cut a file would be as before, and look like the person's own change back."""
    if shutil.which("strace") is None:
        pytest.skip("strace is missing; install it (Debian, Ubuntu: apt-get install strace)")
    origin = proposed(terminal)
    record = tmp_path / "record"
    traced = ("strace", "-f", "-qq", "-y", "-e", "trace=syncfs,rename,unlink", "-o", str(record))
    merge = (sys.executable, "-m", "agentloop", "pr", "merge", "1", "--home", str(terminal.home))
    subprocess.run((*traced, *merge), check=True, capture_output=True)
    calls = record.read_text().splitlines()
    written = max(n for n, call in enumerate(calls) if f"{origin}/.git/index.lock" in call)
    told = next(n for n, call in enumerate(calls) if "/pulls/closed/" in call)
    assert [call for call in calls[written:told] if "syncfs" in call and f"<{origin}>" in call]


def test_a_merge_asked_for_again_says_that_it_is_done_and_does_nothing(terminal: Terminal) -> None:
    """A person who was cut off before they were told asks again; what is closed unmerged stays a conflict."""
    origin = proposed(terminal)
    first = terminal.json("pr", "merge", "1")
    assert f"was merged already, into main as {first['commit'][:10]}" in terminal("pr", "merge", "1")
    again = terminal.json("pr", "merge", "1")
    assert (again["commit"], first["already"], again["already"]) == (first["commit"], False, True)
    assert gitrepo.git(origin, "rev-parse", "main").strip() == first["commit"]


def test_what_is_new_since_a_review_is_a_command_away(terminal: Terminal) -> None:
    """`pr show` names it once there is something new, and a program gets the diff as JSON."""
    origin = proposed(terminal)
    terminal("pr", "review", "1", "--request-changes", "Two.")
    assert "--since-review" not in terminal("pr", "show", "1")
    home = Home(terminal.home)
    branch = "agentloop/1.1-crash"
    head = gitrepo.head(origin, branch)
    commit = gitrepo.commit_in(home.mirror_of("web"), head, {"app.py": "2\n"}, "more")
    push = Push(target="web", branch=branch, commit=commit, expected=head)
    FileForge(home, compiled.load(home)).act("push again", push)

    assert "agentloop pr diff 1 --since-review" in terminal("pr", "show", "1")
    assert "-1\n+2\n" in terminal("pr", "diff", "1", "--since-review")
    assert "-1\n+2\n" in terminal.json("pr", "diff", "1", "--since-review")["diff"]
    assert "-one\n+2\n" in terminal.json("pr", "diff", "1")["diff"]


def test_a_pull_request_as_a_program_reads_it(terminal: Terminal) -> None:
    """Names and types of the fields."""
    proposed(terminal)
    terminal("pr", "review", "1", "--approve")
    pull = terminal.json("pr", "show", "1")["pull"]
    (review,) = pull.pop("reviews")
    assert (review["verdict"], review["commit"]) == ("approved", pull["head"])
    assert terminal.json("pr", "list")["pulls"][0]["mergeable"] is True
    assert set(pull) == {
        "id", "number", "title", "state", "target", "branch", "base", "head", "mergeable", "merge_commit",
        "author", "created_at", "path", "problems", "checks", "body",
    }  # fmt: skip
    merged = terminal.json("pr", "merge", "1", "--squash")
    assert (merged["pull"], merged["base"], len(merged["commit"])) == ("1", "main", 40)


def test_closing_a_pull_request_keeps_its_branch(terminal: Terminal) -> None:
    """And says why."""
    origin = proposed(terminal)
    terminal("pr", "close", "1", "--comment", "Not now.")
    shown = terminal("pr", "show", "1")
    assert ("closed" in shown, "Not now." in shown) == (True, True)
    assert gitrepo.head(origin, "agentloop/1.1-crash")


def test_a_review_says_one_thing(terminal: Terminal) -> None:
    """Neither nothing nor two things at once, and never an empty request."""
    proposed(terminal)
    assert "say one thing" in terminal("pr", "review", "1", code=exits.CONFLICT)
    both = ("--approve", "--request-changes", "But.")
    assert "say one thing" in terminal("pr", "review", "1", *both, code=exits.CONFLICT)
    assert "say what should change" in terminal(
        "pr", "review", "1", "--request-changes", "", code=exits.CONFLICT
    )
    terminal("pr", "review", "1", "--request-changes", "-", "--stdin", stdin="From a pipe.\n")
    assert "From a pipe." in terminal("pr", "show", "1")


def test_the_home_is_found_from_below_and_from_the_environment(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flag wins over the variable, the variable over the folder."""
    terminal("issue", "new", "Here")
    below = terminal.home / "memories" / "archive"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert "Here" in terminal("issue", "list")
    other = tmp_path / "other"
    other.mkdir()
    (other / "agentloop.toml").write_text("")
    monkeypatch.setenv("AGENTLOOP_HOME", str(other))
    assert "no open issues" in terminal("issue", "list")
    assert "Here" in terminal("issue", "list", "--home", str(terminal.home))


def test_listing_issues_loads_no_sdk_and_no_git(terminal: Terminal) -> None:
    """What a person types often starts quickly."""
    code = (
        "import sys; from agentloop.cli import app; app.run(['issue', 'list'])\n"
        "print([name for name in ('git', 'anthropic') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=terminal.home, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
