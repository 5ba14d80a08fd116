"""Settings: precedence, origins, and what a person is told about each kind of mistake."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_type_hints

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from agentloop.domain.settings import Price, Settings
from agentloop.errors import HomeError, SettingsError
from agentloop.home import Home
from agentloop.settings import reference, sources
from agentloop.settings.loading import Loaded, load
from agentloop.settings.problems import InvalidSettingsError
from agentloop.settings.reference import literal

NUMBERS = [
    (section, field.name)
    for section in ("limits", "worker", "sleep", "supervision")
    for field in dataclasses.fields(get_type_hints(Settings)[section])
    if isinstance(field.default, int | float)
]


def read(folder: Path, text: str = "", user: str = "", **environ: str) -> Loaded:
    """The settings of a home whose file says `text`, with a user's file and an environment."""
    (folder / "agentloop.toml").write_text(text)
    config = folder / "user"
    (config / "agentloop").mkdir(parents=True, exist_ok=True)
    (config / "agentloop" / "config.toml").write_text(user)
    return load(Home(folder), {"XDG_CONFIG_HOME": str(config), "HOME": str(folder), **environ})


def complaints(folder: Path, text: str = "", user: str = "", **environ: str) -> list[str]:
    """Every problem as a person reads it, the scratch folder's name taken out."""
    with pytest.raises(InvalidSettingsError) as caught:
        read(folder, text, user, **environ)
    return [str(problem).replace(str(folder), "…") for problem in caught.value.problems]


def table(values: Mapping[tuple[str, str], object]) -> str:
    """`values` as a TOML file of dotted keys."""
    return "".join(f"{section}.{key} = {literal(value)}\n" for (section, key), value in values.items())


said = st.dictionaries(st.sampled_from(NUMBERS), st.integers(20, 50), max_size=6)


@given(flags=said, environment=said, home=said, user=said)
@settings(max_examples=40)
def test_the_first_place_that_names_a_setting_wins(
    flags: dict[tuple[str, str], int],
    environment: dict[tuple[str, str], int],
    home: dict[tuple[str, str], int],
    user: dict[tuple[str, str], int],
) -> None:
    """Flag > environment > home > user > default, as plain dicts merged from the back, and origins agree."""
    defaults = {(section, key): getattr(getattr(Settings(), section), key) for section, key in NUMBERS}
    environ = {
        f"AGENTLOOP_{section}__{key}".upper(): str(value) for (section, key), value in environment.items()
    }
    environ |= sources.flag_environment(
        [f"{section}.{key}={value}" for (section, key), value in flags.items()]
    )

    with tempfile.TemporaryDirectory() as folder:
        loaded = read(Path(folder), table(home), table(user), **environ)

    found = {(section, key): getattr(getattr(loaded.settings, section), key) for section, key in NUMBERS}
    layers = {"default": defaults, "user": user, "home": home, "environment": environment, "flag": flags}
    assert found == {**defaults, **user, **home, **environment, **flags}
    for place in NUMBERS:
        expected = [name for name, layer in layers.items() if place in layer][-1]
        assert loaded.origins[place].layer == expected


def test_an_origin_names_the_line_or_the_variable(tmp_path: Path) -> None:
    """Each value can be found where it was said."""
    loaded = read(
        tmp_path,
        "[limits]\n\nday_usd = 3\n",
        "[sleep]\nidle_seconds = 60\n",
        AGENTLOOP_LIMITS__PACK_MB="7",
        AGENTLOOP_SET=json.dumps({"limits.diff_files": "9"}),
    )

    assert {key[-1]: str(origin) for key, origin in loaded.origins.items() if origin.layer != "default"} == {
        "day_usd": "agentloop.toml:3",
        "idle_seconds": f"{tmp_path}/user/agentloop/config.toml:2",
        "pack_mb": "AGENTLOOP_LIMITS__PACK_MB",
        "diff_files": "--set limits.diff_files",
    }


def test_lists_and_whole_tables_come_from_the_environment_as_json(tmp_path: Path) -> None:
    """Nested lists, booleans and all targets; a list replaces, it does not add."""
    found = read(
        tmp_path,
        '[worker]\nread = ["/opt/a"]\n[[target]]\nname = "a"\nrepository = "/a"\n',
        AGENTLOOP_WORKER__READ='["/opt/b"]',
        AGENTLOOP_LAYERS__GATE="false",
        AGENTLOOP_TARGET='[{"name": "b", "repository": "https://example.com/b.git", "verify": ["true"]}]',
    ).settings

    assert found.worker.read == ("/opt/b",)
    assert found.layers.gate is False
    assert [(target.name, target.verify) for target in found.targets] == [("b", ("true",))]


def test_prices_are_written_in_dollars_and_kept_in_micro_dollars(tmp_path: Path) -> None:
    """A model with a price of one's own may be used, and the shipped prices stay known."""
    found = read(
        tmp_path,
        'models.worker = "m.1"\n[prices."m.1"]\n'
        "input = 3\noutput = 0.0000015\ncache_write = 3.75\ncache_read = 0\n",
    ).settings

    assert found.prices["m.1"] == Price(input=3_000_000, output=2, cache_write=3_750_000, cache_read=0)
    assert "claude-opus-5-5" in found.prices


def test_a_tilde_is_the_home_of_whoever_runs_it(tmp_path: Path) -> None:
    """Compiled settings hold whole paths: who reads them may have no HOME."""
    found = read(tmp_path, '[worker]\nread = ["~/tools"]\n[models]\nkey_file = "~/key"\n').settings

    assert (found.worker.read, found.models.key_file) == ((f"{Path.home()}/tools",), f"{Path.home()}/key")


MISTAKES = re.findall(
    r"## (.*?)\n\n```toml\n(.*?)```\n\n```\n(.*?)\n```",
    (Path(__file__).parent / "settings-mistakes.md").read_text(),
    re.DOTALL,
)


@pytest.mark.parametrize(
    ("text", "expected"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES]
)
def test_a_mistake_in_the_file_is_named_with_place_and_fix(text: str, expected: str, tmp_path: Path) -> None:
    """All mistakes at once, each at its line and column, in words that a person can act on."""
    found = "\n".join(complaints(tmp_path, text)).replace(str(Path.home()), "~")

    assert found == expected


NO_TOML = "this is not TOML: "
SYNTAX: list[tuple[bytes, str]] = [
    (b"[limits\nx = 3", f"1:8: {NO_TOML}expected ']' at the end of a table declaration"),
    (b"a = 1\na = 2\nb = 3", f"2:6: {NO_TOML}this key or table is there already, further up"),
    (
        b"[limits]\nday_usd = ",
        f"2:11: {NO_TOML}expected a value: a text in quotes, a number, true or false, or a list",
    ),
    (b"day_usd = 1,5", f"1:12: {NO_TOML}something stands behind the value"),
    (b"day_usd 15", f"1:9: {NO_TOML}expected a line like: key = value"),
    (b"a = 'x", f"1:7: {NO_TOML}a text is not closed with the quote that opened it"),
    (b"a = 'x\n", f"1:7: {NO_TOML}a text is not closed with the quote that opened it"),
    (b'a = "x\n"', f"1:7: {NO_TOML}a text ends in its line, and holds no control characters"),
    (b"a = [1", f"1:7: {NO_TOML}unclosed array"),
    (b"# \x00\n", f"1:3: {NO_TOML}a text ends in its line, and holds no control characters"),
    (b"# caf\xe9\n", "1: a byte that is no UTF-8 text"),
]


@pytest.mark.parametrize(("data", "expected"), SYNTAX)
def test_a_file_that_is_no_toml_is_named_with_its_line(data: bytes, expected: str, tmp_path: Path) -> None:
    """What a broken file gets is one sentence with a place, never a parser's words alone."""
    (tmp_path / "agentloop.toml").write_bytes(data)

    with pytest.raises(SettingsError) as caught:
        load(Home(tmp_path), {"HOME": str(tmp_path)})

    assert caught.value.what == f"agentloop.toml:{expected}"
    assert caught.value.fix


def test_mistakes_in_the_environment_name_the_variable(tmp_path: Path) -> None:
    """A misspelt variable is not overlooked, and a value that is no JSON is named."""
    found = complaints(
        tmp_path,
        AGENTLOOP_LIMITS__DAY_USDS="3",
        AGENTLOOP_LIMIT__DAY_USD="3",
        AGENTLOOP_LIMITS__PACK_MB="many",
        AGENTLOOP_WORKER__READ="/a:/b",
        AGENTLOOP_TARGET="{",
    )

    assert (
        "\n".join(found)
        == """\
AGENTLOOP_LIMITS__DAY_USDS: limits.day_usds is not a setting
  fix: did you mean day_usd?
AGENTLOOP_LIMITS__PACK_MB: limits.pack_mb: expected a whole number, found the text 'many'
  fix: write digits without quotes or a point, e.g. 20
AGENTLOOP_LIMIT__DAY_USD: there is no table 'limit' among the settings
  fix: did you mean AGENTLOOP_LIMITS__DAY_USD?
AGENTLOOP_TARGET: target: expected a list of tables, found the text '{'
  fix: begin each target with a line [[target]], in two brackets
AGENTLOOP_WORKER__READ: worker.read: expected a list, found the text '/a:/b'
  fix: write it in square brackets, e.g. ['one', 'two']"""
    )


@pytest.mark.parametrize("where", ["home", "comment", "user", "environment", "flag"])
def test_a_secret_is_refused_wherever_it_stands_and_never_shown(where: str, tmp_path: Path) -> None:
    """The place is named; the secret is in no part of the message."""
    secret = "sk-ant-api03-" + "Ab3" * 12
    line = {"home": f'models.admin = "{secret}"', "comment": f"# {secret}"}.get(where, "")
    environ = {
        "environment": {"AGENTLOOP_MODELS__ADMIN": secret},
        "flag": {"AGENTLOOP_SET": json.dumps({"models.admin": secret})},
    }.get(where, {})

    found = complaints(tmp_path, line, f'models.admin = "{secret}"' if where == "user" else "", **environ)

    assert "looks like a secret (anthropic key)" in found[0]
    assert secret not in "".join(found)


@pytest.mark.parametrize("how", ["folder", "worktree", "remote", "url"])
def test_limits_are_not_read_from_a_repository_that_workers_write(how: str, tmp_path: Path) -> None:
    """Same folder, a work tree of the same repository, or a remote in common: no limits from this file."""
    home = tmp_path / "home"
    git = ("git", "-c", "init.defaultBranch=main", "-C")
    subprocess.run(["git", "init", "-q", str(home)], check=True)
    subprocess.run([*git, str(home), "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    subprocess.run([*git, str(home), "worktree", "add", "-q", "../tree"], check=True)
    subprocess.run([*git, str(home), "remote", "add", "local", str(tmp_path / "bare.git")], check=True)
    subprocess.run([*git, str(home), "remote", "add", "origin", "git@Example.com:me/x.git"], check=True)
    target = {
        "folder": ".",
        "worktree": "../tree",
        "remote": "../bare.git",
        "url": "https://example.com/me/x",
    }[how]

    found = complaints(home, f'[[target]]\nname = "self"\nrepository = "{target}"\n[limits]\nday_usd = 9\n')

    (problem,) = found
    assert problem.split("\n") == [
        "agentloop.toml:4:1: limits stands where workers can write: target 'self' is this home",
        "  fix: move it to the user's file (~/.config/agentloop/config.toml) or AGENTLOOP_LIMITS__…",
    ]


def test_an_unrelated_target_does_not_guard_the_home(tmp_path: Path) -> None:
    """A home that works for others keeps its limits in its own file."""
    other = tmp_path / "other"
    subprocess.run(["git", "init", "-q", str(other)], check=True)

    found = read(tmp_path, '[[target]]\nname = "o"\nrepository = "other"\n[limits]\nday_usd = 9\n').settings

    assert found.limits.day_usd == 9.0


def test_a_key_file_that_git_tracks_is_refused(tmp_path: Path) -> None:
    """A key in a repository's index would be pushed with the next commit."""
    repository = tmp_path / "repository"
    subprocess.run(["git", "init", "-q", str(repository)], check=True)
    (repository / "key").write_text("x")
    subprocess.run(["git", "-C", str(repository), "add", "key"], check=True)

    found = complaints(tmp_path, f'[models]\nkey_file = "{repository}/key"\n')

    (problem,) = found
    assert problem.split("\n") == [
        "agentloop.toml:2:1: models.key_file: …/repository/key is tracked by git: the key would be pushed",
        "  fix: make a new key, keep it outside every repository, and take this file out of git",
    ]


def test_what_would_put_github_at_risk_is_refused(tmp_path: Path) -> None:
    """A token in the clear, work without a sandbox, an address that names no repository."""
    found = complaints(
        tmp_path,
        '[[target]]\nname = "a"\nrepository = "../a"\ntracker = "github"\n'
        '[github]\napi_url = "http://ghe.example.com/api/v3"\n[worker]\nsandbox = "none"\n',
    )

    assert [problem.partition(": ")[2].split("\n")[0] for problem in found] == [
        "target a has its issues on GitHub, and '../a' is not there",
        "http://ghe.example.com/api/v3 is not encrypted: the token could be read on the way",
        "target a is on GitHub: nothing is worked on for it without a sandbox",
    ]


def test_a_folder_without_settings_is_no_home(tmp_path: Path) -> None:
    """The fix makes one."""
    with pytest.raises(HomeError) as caught:
        load(Home(tmp_path), {})

    assert caught.value.fix == f"agentloop init {tmp_path}"


def test_a_thousand_mistakes_are_shown_in_part(tmp_path: Path) -> None:
    """The message stays readable; it says how many more there are."""
    with pytest.raises(InvalidSettingsError) as caught:
        read(tmp_path, "[limits]\n" + "".join(f"x{n} = 1\n" for n in range(1000)))

    assert caught.value.what.startswith("1000 settings cannot be used")
    assert caught.value.what.endswith("… and 960 more")


def test_flags_travel_in_the_environment_and_add_up() -> None:
    """What --set said reaches children; a later flag replaces an earlier one of the same key."""
    first = sources.flag_environment(["limits.day_usd=5", "worker.sandbox=none"])
    both = sources.flag_environment(["limits.day_usd = 6"], first)

    assert sources.flags(both) == {"limits.day_usd": "6", "worker.sandbox": "none"}
    assert sources.fingerprint(both) not in {sources.fingerprint(first), ""}


def test_a_flag_without_a_value_says_how_to_write_one() -> None:
    """The word that was not understood is shown."""
    with pytest.raises(SettingsError) as caught:
        sources.flag_environment(["limits.day_usd"])

    assert caught.value.what == "--set 'limits.day_usd' names no value"


def test_every_default_passes_its_own_validation(tmp_path: Path) -> None:
    """A file that spells every default out gives the settings of an empty one."""
    text = "\n".join(
        line[1:] if line.startswith("#") and not line.startswith("# ") else line
        for line in reference.new_file([]).splitlines()
        if not line.startswith(("#[prices", "#input", "#output", "#cache_"))
    )
    (tmp_path / "my-project").mkdir()

    spelt, empty = read(tmp_path, text).settings, read(tmp_path).settings

    assert dataclasses.replace(spelt, targets=()) == empty
    assert spelt.targets[0].name == "my-project"


def test_a_new_file_names_every_setting_and_stays_short() -> None:
    """Nothing has to be looked up elsewhere to see what can be set."""
    text = reference.new_file([reference.Named(name="a", repository="../a", verify=("true",))])
    names: list[str] = [
        field.name
        for kind in get_type_hints(Settings).values()
        if dataclasses.is_dataclass(kind)
        for field in dataclasses.fields(kind)
    ]

    assert [name for name in names if f"{name} = " not in text] == []
    assert text.count("\n") <= 190


@given(
    st.one_of(st.text(max_size=20), st.booleans(), st.integers(), st.lists(st.text("ab'\"\\", max_size=4)))
)
def test_a_literal_reads_back_as_it_was(value: Any) -> None:  # noqa: ANN401 - any plain value
    """What is written into agentloop.toml means the same when it is read."""
    import tomllib

    assert tomllib.loads(f"value = {literal(value)}")["value"] == value
