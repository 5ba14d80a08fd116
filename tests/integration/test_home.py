"""Making a home, looking whether it can work, and its compiled settings; all through the command line."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentloop import compiled, exits
from agentloop.domain.relay import FIRST, render
from agentloop.domain.settings import Settings
from agentloop.errors import HomeError, SettingsError
from agentloop.home import Home
from agentloop.settings import reference

ROOT = Path(__file__).parents[2]


def agentloop(*words: str | Path, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """What the command does, as a person's shell would run it."""
    command = [sys.executable, "-m", "agentloop", *map(str, words)]
    return subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def git(folder: Path, *words: str) -> str:
    """What git prints."""
    return subprocess.run(
        ["git", "-C", str(folder), *words], check=True, capture_output=True, text=True
    ).stdout.strip()


def tree(folder: Path) -> dict[str, str]:
    """Every path below `folder`, with what it holds (git's own bookkeeping included) and its mode."""
    found = {}
    for path in sorted(folder.rglob("*")):
        data = path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(folder))] = f"{path.lstat().st_mode:o} {hashlib.sha256(data).hexdigest()}"
    return found


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A small repository to work for."""
    folder = tmp_path / "calc"
    subprocess.run(["git", "init", "-q", "-b", "main", str(folder)], check=True)
    (folder / "calc.py").write_text("x = 1\n")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "Begin")
    return folder


@pytest.fixture
def home(tmp_path: Path, target: Path) -> Home:
    """A home that works for the target."""
    made = agentloop("init", "home", "--target", target, "--yes", cwd=tmp_path)
    assert made.returncode == exits.OK, made.stderr
    return Home(tmp_path / "home")


def test_a_new_home_has_everything_and_is_committed(home: Home) -> None:
    """Settings, relay and ignored folders are there; the first commit holds just the files."""
    assert [
        path.is_dir() for path in (home.archive, home.notes, home.closed_issues, home.closed_pulls, home.run)
    ] == [True] * 5
    assert home.relay.read_text() == render(FIRST)
    assert home.gitignore.read_text() == "/.agentloop/\n/journal/\n/tracker/\n/requests/\n/pause.json\n"
    assert git(home.root, "ls-files").split() == [".gitignore", "agentloop.toml", "memories/consensus.md"]
    assert git(home.root, "status", "--porcelain") == ""
    assert git(home.root, "log", "--format=%an %s") == "agentloop Make a home for agentloop"
    assert home.runtime.stat().st_mode & 0o777 == 0o700


def test_a_home_that_is_made_twice_does_not_change(home: Home, target: Path) -> None:
    """Idempotent to the byte, git's own files included."""
    before = tree(home.root)

    again = agentloop("init", home.root, "--target", target, "--yes", cwd=home.root)

    assert (again.returncode, tree(home.root)) == (exits.OK, before)
    assert "is a home already; nothing was missing" in again.stdout


def test_a_dry_run_shows_the_plan_and_changes_nothing(tmp_path: Path, target: Path) -> None:
    """Not even the folder is made."""
    before = tree(tmp_path)

    shown = agentloop("init", "new", "--target", target, "--dry-run", cwd=tmp_path)

    assert tree(tmp_path) == before
    assert shown.stdout.splitlines() == [
        f"would make in {tmp_path}/new:",
        "  folder      ./",
        "  folder      memories/archive/",
        "  folder      memories/notes/",
        "  folder      prompts/",
        "  folder      journal/",
        "  folder      tracker/issues/closed/",
        "  folder      tracker/pulls/closed/",
        "  folder      .agentloop/",
        "  folder      .agentloop/run/",
        "  file        agentloop.toml",
        "  file        .gitignore",
        "  file        memories/consensus.md",
        "  repository  .git/",
        "  commit      .gitignore, agentloop.toml, memories/consensus.md",
        "",
        "nothing was changed (--dry-run)",
    ]


def test_a_person_s_repository_is_respected(target: Path) -> None:
    """Staged work, settings and ignore file stay; what is missing is added; nothing is committed."""
    (target / "staged.py").write_text("y = 2\n")
    git(target, "add", "staged.py")
    (target / ".gitignore").write_text("*.pyc\n/journal")
    (target / "agentloop.toml").write_text("# mine\n")
    head, index = git(target, "rev-parse", "HEAD"), git(target, "ls-files", "--stage")

    made = agentloop("init", ".", "--yes", cwd=target)

    assert made.returncode == exits.OK
    assert (git(target, "rev-parse", "HEAD"), git(target, "ls-files", "--stage")) == (head, index)
    assert (target / ".gitignore").read_text() == (
        "*.pyc\n/journal\n/.agentloop/\n/tracker/\n/requests/\n/pause.json\n"
    )
    assert (target / "agentloop.toml").read_text() == "# mine\n"
    assert "nothing was committed" in made.stdout


def test_a_half_made_home_is_finished(home: Home) -> None:
    """A power cut between the files and the commit: the next try adds what is missing."""
    git(home.root, "update-ref", "-d", "HEAD")
    home.relay.unlink()

    assert agentloop("init", home.root, "--yes", cwd=home.root).returncode == exits.OK
    assert git(home.root, "status", "--porcelain") == ""
    assert git(home.root, "rev-list", "--count", "HEAD") == "1"


def test_a_secret_that_stands_there_already_is_not_committed(tmp_path: Path) -> None:
    """The first commit takes our files, not somebody's key."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "agentloop.toml").write_text("# sk-ant-api03-" + "Ab3" * 12 + "\n")

    agentloop("init", "home", "--yes", cwd=tmp_path)

    assert git(tmp_path / "home", "ls-files").split() == [".gitignore", "memories/consensus.md"]


def test_a_home_for_a_repository_on_github_is_ready_but_for_the_token(tmp_path: Path) -> None:
    """The settings hold; what is missing, and how it is put there, is said."""
    made = agentloop("init", "loop", "--github", "octocat/calc", "--yes", cwd=tmp_path)
    text = (tmp_path / "loop/agentloop.toml").read_text()
    known = tomllib.loads(text)
    assert {**known["target"][0], **known["github"]} == {
        "name": "calc",
        "repository": "https://github.com/octocat/calc",
        "tracker": "github",
        "token_file": "~/.config/agentloop/github-token",
    }
    assert "install -D -m 600 /dev/stdin ~/.config/agentloop/github-token" in made.stdout
    checked = agentloop("config", "check", cwd=tmp_path / "loop")
    assert checked.returncode == 0, checked.stdout


def test_what_is_no_repository_on_github_is_refused(tmp_path: Path) -> None:
    """A name alone could be anybody's."""
    refused = agentloop("init", "loop", "--github", "calc", cwd=tmp_path)
    assert refused.returncode != 0
    assert "write OWNER/NAME" in refused.stderr
    assert not (tmp_path / "loop").exists()


def test_a_second_target_is_shown_and_not_written(home: Home, tmp_path: Path) -> None:
    """agentloop.toml is a person's once it is there."""
    before = home.settings_file.read_text()

    said = agentloop(
        "init", home.root, "--target", "https://example.com/other.git", "--yes", cwd=tmp_path
    ).stdout

    assert home.settings_file.read_text() == before
    assert '    [[target]]\n    name = "other"\n    repository = "https://example.com/other.git"\n' in said


def refusals(tmp_path: Path, target: Path) -> dict[str, tuple[list[str], int, str, str]]:
    """Places and targets that cannot be used: words, exit code, what is said, the fix."""
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "detour").mkdir()
    (tmp_path / "detour" / "memories").symlink_to(tmp_path / "empty")
    subprocess.run(["git", "init", "-q", str(tmp_path / "unborn")], check=True)
    new = ["init", str(tmp_path / "new"), "--target"]
    inside = f"{target}/sub/home"
    return {
        "a file": (
            ["init", "file"],
            exits.HOME,
            "/file is a file",
            "name a folder, or a path where nothing is",
        ),
        "a link to nowhere": (["init", "link"], exits.HOME, "link is a link that leads nowhere", "remove it"),
        "a detour": (
            ["init", "detour"],
            exits.HOME,
            "memories is a symbolic link",
            "put a real file or folder",
        ),
        "inside a repository": (
            ["init", inside],
            exits.HOME,
            f"{inside} is inside the repository {target}, which is not its own",
            f"git init {inside}",
        ),
        "inside .git": (
            ["init", f"{target}/.git/x"],
            exits.HOME,
            "is inside a git directory",
            "choose a folder",
        ),
        "not writable": (
            ["init", "/proc/home"],
            exits.HOME,
            "/proc",
            "choose another folder",
        ),
        "no folder": (
            [*new, "nope"],
            exits.TARGET,
            "/nope is no folder",
            "name the folder of a git repository",
        ),
        "no repository": ([*new, "empty"], exits.TARGET, "/empty is no git repository", "git init"),
        "no commits": ([*new, "unborn"], exits.TARGET, "/unborn has no commits", "make a first commit"),
        "a command": (
            [*new, "ext::sh -c id"],
            exits.TARGET,
            "git would run 'ext::sh -c id'",
            "use a path",
        ),
        "a password": (
            [*new, "https://me:pw@example.com/x"],
            exits.TARGET,
            "the repository's address holds a password",
            "use an ssh key",
        ),
    }


def test_what_cannot_be_a_home_is_refused_with_its_fix(tmp_path: Path, target: Path) -> None:
    """Each refusal has its own exit code and words, and leaves nothing behind."""
    cases = refusals(tmp_path, target)
    before = tree(tmp_path)
    for words, code, what, fix in cases.values():
        said = agentloop(*words, "--yes", cwd=tmp_path)

        assert (said.returncode, what in said.stderr, fix in said.stderr) == (code, True, True), said.stderr
    assert tree(tmp_path) == before


class _Models(http.server.BaseHTTPRequestHandler):
    """A Messages API that knows one key."""

    def do_GET(self) -> None:
        """Answer the list of models, or 401."""
        said = (self.headers.get("x-api-key"), self.headers.get("authorization"))
        right = "the-right-key" in str(said)
        data: dict[str, object] = {"data": [], "has_more": False, "first_id": None, "last_id": None}
        if not right:
            data = {
                "type": "error",
                "error": {"type": "authentication_error", "message": "invalid x-api-key"},
            }
        body = json.dumps(data).encode()
        self.send_response(200 if right else 401)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def models() -> Iterator[str]:
    """The address of a Messages API on loopback."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Models)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def doctor(home: Home, **environ: str) -> tuple[int, dict[str, list[tuple[str, str]]]]:
    """Doctor's exit code, and its checks by name: (state, what)."""
    ran = agentloop("doctor", "--json", cwd=home.root, **environ)
    said = json.loads(ran.stdout)
    assert sorted(said) == ["checks", "home", "ok", "schema", "version"]
    assert (said["schema"], said["home"], said["ok"]) == (1, str(home.root), ran.returncode == exits.OK)
    checks: dict[str, list[tuple[str, str]]] = {}
    for check in said["checks"]:
        assert sorted(check) == ["fix", "name", "state", "what"]
        assert (check["state"] in {"ok", "skip"}) == (check["fix"] == "")
        checks.setdefault(check["name"], []).append((check["state"], check["what"]))
    return ran.returncode, checks


def test_doctor_finds_a_sound_home_ready(home: Home, models: str) -> None:
    """With a key that the model takes, every check is ok, and doctor leaves no trace."""
    before = tree(home.root)

    code, checks = doctor(home, ANTHROPIC_API_KEY="the-right-key", AGENTLOOP_MODELS__BASE_URL=models)

    assert code == exits.OK
    assert {name for name, found in checks.items() for state, _ in found if state == "fail"} == set()
    assert checks["key"] == [("ok", "found in ANTHROPIC_API_KEY")]
    assert checks["model"] == [("ok", f"{models} answers and takes the key")]
    assert checks["target calc"][0][0] == "ok"
    assert tree(home.root) == before


def test_doctor_tells_a_wrong_key_from_none(home: Home, models: str) -> None:
    """A key that is refused, and no key at all; neither is ever shown."""
    wrong = doctor(home, ANTHROPIC_API_KEY="a-wrong-key", AGENTLOOP_MODELS__BASE_URL=models)
    none = doctor(home, AGENTLOOP_MODELS__BASE_URL=models)

    assert wrong[0] == none[0] == exits.FAILED
    assert wrong[1]["model"][0][0] == "fail"
    assert "a-wrong-key" not in str(wrong)
    assert none[1]["key"] == [("fail", "there is no API key: no model can be asked")]
    assert none[1]["model"] == [("skip", f"{models} was not asked, because there is no key")]


def test_doctor_names_what_is_wrong_with_a_home(home: Home, target: Path, tmp_path: Path) -> None:
    """Key readable by others, target gone, a prompt with an unknown variable, a future file, odd limits."""
    key = tmp_path / "key"
    key.write_text("k")
    key.chmod(0o644)
    target.rename(tmp_path / "elsewhere")
    (home.prompts / "worker.md").write_text("{{nonsense}}\n")
    home.journal.joinpath("2026-01.jsonl").write_text("{}\nnot json\n")
    os.utime(home.relay, (4e9, 4e9))
    home.gitignore.write_text("/journal/\n")

    code, checks = doctor(home, AGENTLOOP_MODELS__KEY_FILE=str(key), AGENTLOOP_LIMITS__DAY_USD="1")

    assert code == exits.FAILED
    assert checks["key"] == [("warn", f"found in {key}, which others may read")]
    assert checks["repository"] == [
        ("warn", ".gitignore does not name /.agentloop/ /tracker/ /requests/ /pause.json")
    ]
    assert {name for name, found in checks.items() if found[0][0] == "fail"} >= {
        "clock",
        "journal",
        "prompts",
        "target calc",
    }
    assert (
        "warn",
        "limits.attempt_usd (2) is above limits.day_usd (1): it can never be used up",
    ) in checks["settings"]


def test_doctor_counts_the_tests_that_the_gate_would_hold(home: Home, target: Path) -> None:
    """Where no file counts as a test, a change could empty them all: said with its fix, gone once named."""
    (target / "checks").mkdir()
    (target / "checks" / "all.py").write_text("x = 1\n")
    git(target, "add", ".")
    git(target, "commit", "-q", "-m", "Check")

    def said() -> list[tuple[str, str]]:
        return [found for found in doctor(home)[1]["target calc"] if "count" in found[1]]

    (state, what), *more = said()
    assert (state, more) == ("warn", [])
    assert what.endswith("counts as a test: a change could empty them all")
    text = home.settings_file.read_text()
    home.settings_file.write_text(text.replace('name = "calc"', 'name = "calc"\ntests = ["checks/**"]', 1))
    ((state, what),) = said()
    assert (state, what.split(" of ")[0], what.endswith("files count as tests")) == ("ok", "1", True)


def test_doctor_shows_each_mistake_in_the_settings(home: Home) -> None:
    """The checks that need settings are left out; the rest is still made."""
    home.settings_file.write_text("[limit]\n[sleep]\nidle = 3\n")

    code, checks = doctor(home)

    assert code == exits.FAILED
    assert [what for _, what in checks["settings"]] == [
        "agentloop.toml:1:1: limit is not a table",
        "agentloop.toml:3:1: sleep.idle is not a setting",
    ]
    assert "key" not in checks
    assert "git" in checks


def test_compiled_settings_are_made_once_and_again_after_an_edit(home: Home) -> None:
    """Fresh ones are read as they are; an edit of the same size in the same moment is seen too."""
    home.settings_file.write_text("limits.day_usd = 3\n")
    first = compiled.load(home)
    stamp = home.compiled_settings.stat().st_mtime_ns
    second = compiled.load(home)
    assert (first, home.compiled_settings.stat().st_mtime_ns) == (second, stamp)

    times = home.settings_file.stat()
    home.settings_file.write_text("limits.day_usd = 4\n")
    os.utime(home.settings_file, ns=(times.st_atime_ns, times.st_mtime_ns))

    assert compiled.load(home).limits.day_usd == 4.0


def test_compiled_settings_belong_to_one_environment(home: Home) -> None:
    """A shell without the unit's overrides neither uses nor spoils what the unit's processes read."""
    unit = {**os.environ, "AGENTLOOP_LIMITS__DAY_USD": "1"}

    assert compiled.load(home, unit).limits.day_usd == 1.0
    assert compiled.load(home).limits.day_usd == Settings().limits.day_usd
    assert compiled.last_good(home, unit) is None
    assert compiled.load(home, unit).limits.day_usd == 1.0


def test_an_invalid_file_leaves_the_last_good_settings_in_force(home: Home) -> None:
    """The complaint names the line; with nothing good to fall back on it is an error."""
    home.settings_file.write_text("limits.day_usd = 3\n")
    compiled.load(home)
    home.settings_file.write_text("limits.day_usd = -3\n")

    settings, complaint = compiled.in_force(home)

    assert settings.limits.day_usd == 3.0
    assert "agentloop.toml:1:1: limits.day_usd: expected at least 0.001, found -3" in complaint
    home.compiled_settings.unlink()
    with pytest.raises(SettingsError):
        compiled.in_force(home)


def test_a_home_that_is_none_is_said_to_be_none(tmp_path: Path) -> None:
    """The child's error comes back as the same kind of error."""
    with pytest.raises(HomeError):
        compiled.load(Home(tmp_path))


def test_compiled_settings_hold_no_key(home: Home, tmp_path: Path) -> None:
    """Neither the variable's key nor that of a key file gets into the compiled file."""
    key = tmp_path / "key"
    key.write_text("sk-ant-api03-" + "Ab3" * 12)
    environ = {"ANTHROPIC_API_KEY": "sk-ant-api03-" + "Cd4" * 12, "AGENTLOOP_MODELS__KEY_FILE": str(key)}

    assert agentloop("config", "compile", cwd=home.root, **environ).returncode == exits.OK
    assert "sk-ant" not in home.compiled_settings.read_text()


def test_garbage_in_the_compiled_file_is_compiled_anew(home: Home) -> None:
    """The runtime folder may be mangled or deleted at any moment."""
    home.compiled_settings.write_bytes(b"\x00{")

    assert compiled.load(home) == compiled.read(home).settings  # type: ignore[union-attr] # just compiled


def test_show_tells_every_value_and_its_origin(home: Home) -> None:
    """For a person in columns, for a program as JSON."""
    shown = agentloop("config", "show", "--origin", cwd=home.root, AGENTLOOP_LIMITS__DAY_USD="5").stdout
    said = json.loads(agentloop("config", "show", "--json", cwd=home.root).stdout)

    assert "limits.day_usd = 5.0" + " " * 34 + "AGENTLOOP_LIMITS__DAY_USD" in shown.splitlines()
    assert {"key": "limits.day_usd", "value": 20.0, "layer": "default", "where": ""} in said["settings"]
    assert said["settings"][0] == {
        "key": "target[0].name",
        "value": "calc",
        "layer": "home",
        "where": "agentloop.toml:8",
    }


def test_a_flag_goes_before_everything_and_reaches_children(home: Home) -> None:
    """`--set` before the command: over the environment, and in what a child compiles; nonsense is usage."""
    words = ("--set", "limits.day_usd=7", "--set=sleep.idle_seconds=60", "config")
    shown = agentloop(*words, "show", "--origin", cwd=home.root, AGENTLOOP_LIMITS__DAY_USD="5").stdout
    said = json.loads(agentloop(*words, "compile", "--json", cwd=home.root).stdout)
    nonsense = agentloop("--set", "limits.day_usd", "config", "show", cwd=home.root)

    assert "limits.day_usd = 7.0" + " " * 34 + "--set limits.day_usd" in shown.splitlines()
    assert said["settings"]["sleep"]["idle_seconds"] == 60
    assert (nonsense.returncode, "names no value" in nonsense.stderr) == (exits.USAGE, True)


def test_the_vendor_s_own_variable_says_where_models_are_asked(home: Home) -> None:
    """`ANTHROPIC_BASE_URL` is shown as the origin, compiled, checked like a setting, and below ours."""

    def told(variable: str) -> tuple[str, str, int]:
        shown = agentloop("config", "show", "--origin", cwd=home.root, ANTHROPIC_BASE_URL=variable)
        line = next((each for each in shown.stdout.splitlines() if "base_url" in each), shown.stderr)
        value, where = line.rsplit(maxsplit=1)
        return value.strip(), where, shown.returncode

    compiled_one = compiled.compile_in_child(home, {**os.environ, "ANTHROPIC_BASE_URL": "https://b.example"})
    assert told("https://a.example") == ('models.base_url = "https://a.example"', "ANTHROPIC_BASE_URL", 0)
    assert told("") == ('models.base_url = ""', "default", 0)
    assert compiled_one.models.base_url == "https://b.example"
    assert not compiled.is_fresh(home, compiled.read(home))  # type: ignore[arg-type] # just compiled
    bad = agentloop("config", "check", "--json", cwd=home.root, ANTHROPIC_BASE_URL="gopher")
    assert [each["where"] for each in json.loads(bad.stdout)["problems"]] == ["ANTHROPIC_BASE_URL"]
    text = home.settings_file.read_text()
    home.settings_file.write_text(text.replace('#base_url = ""', 'base_url = "https://c.example"'))
    value, where, code = told("https://a.example")
    assert (value, where.split(":")[0], code) == (
        'models.base_url = "https://c.example"',
        "agentloop.toml",
        0,
    )


@pytest.mark.parametrize(
    "words",
    [
        ("--set", "limits.day_usd=7", "--home", "HOME", "config", "show"),
        ("config", "--home=HOME", "show", "--set=limits.day_usd=7"),
        ("config", "show", "--set", "limits.day_usd=7", "--home", "HOME"),
        ("--home", "HOME", "config", "show", "--set", "limits.day_usd=3", "--set", "limits.day_usd=7"),
    ],
)
def test_home_and_set_are_taken_wherever_they_stand(
    home: Home, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """Before the command, inside of it, behind it; by two words or by one."""
    said = agentloop(*(word.replace("HOME", str(home.root)) for word in words), cwd=tmp_path)
    assert "limits.day_usd = 7.0" in said.stdout.splitlines(), said.stderr


def test_a_person_s_words_are_no_options(home: Home, tmp_path: Path) -> None:
    """What follows an option for words, or `--`, is taken as it is; `init` takes `--home` for its folder."""
    agentloop("issue", "new", "One", "--body", "--home=/nowhere", "--home", str(home.root), cwd=tmp_path)
    agentloop("issue", "new", "--no-input", "--home", str(home.root), "--", "--set=a=b", cwd=tmp_path)
    said = json.loads(agentloop("issue", "list", "--json", cwd=home.root).stdout)
    body = json.loads(agentloop("issue", "show", "1", "--json", cwd=home.root).stdout)["issue"]["body"]
    made = agentloop("--home", "other", "init", "--yes", cwd=tmp_path)

    assert ([each["title"] for each in said["issues"]], body) == (["--set=a=b", "One"], "--home=/nowhere")
    assert ((tmp_path / "other" / "agentloop.toml").is_file(), made.returncode) == (True, exits.OK)


def test_a_program_gets_an_error_on_standard_output(home: Home) -> None:
    """With `--json`: what, fix and exit code, from quick commands and slow ones, and for words not known."""

    def told(*words: str) -> tuple[dict[str, Any], bool]:
        said = agentloop(*words, "--json", cwd=home.root)
        found = json.loads(said.stdout)
        assert (found["schema"], found["code"]) == (1, said.returncode)
        return found, bool(said.stderr)

    assert told("issue", "show", "7") == (
        {
            "schema": 1,
            "error": "there is no issue '7'",
            "fix": "agentloop issue list --state all",
            "code": exits.NOT_FOUND,
        },
        True,
    )
    assert told("pause", "--for", "2y", "--reason", "x")[0]["code"] == exits.USAGE
    assert told("resume")[0]["error"] == "there is no pause to end"
    assert told("stop")[0]["code"] == exits.NOT_RUNNING
    assert told("issue", "list", "--odd")[0]["fix"] == "agentloop issue list --help"
    assert told("status", "--home", "nowhere")[0]["code"] == exits.HOME


def test_check_has_an_exit_code_and_json_of_its_own(home: Home) -> None:
    """Right settings: 0. Wrong ones: the settings' exit code, and each problem as data."""
    right = agentloop("config", "check", cwd=home.root)
    home.settings_file.write_text("x = 1\n")
    wrong = agentloop("config", "check", "--json", cwd=home.root)

    assert (right.returncode, wrong.returncode) == (exits.OK, exits.SETTINGS)
    assert json.loads(wrong.stdout)["problems"][0]["what"] == "x is not a table"


def test_the_reference_in_the_docs_is_what_the_code_says() -> None:
    """`agentloop config docs > docs/settings.md` was run after the last change of a setting."""
    assert (ROOT / "docs" / "settings.md").read_text() == reference.markdown()


def test_a_checkout_of_this_project_is_a_home() -> None:
    """Its settings are valid, its own repository is its target, and its relay is one."""
    shown = json.loads(agentloop("config", "show", "--json", "--home", ROOT, cwd=ROOT).stdout)

    assert next(each["value"] for each in shown["settings"] if each["key"] == "target[0].repository") == "."
    assert (ROOT / "memories" / "consensus.md").is_file()
