"""What is shipped, and what it is made from, is what we say it is."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = ("run.txt", "dev.txt")


def canonical(name: str) -> str:
    """Return a distribution's name as PEP 503 spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(lock: str) -> dict[str, str]:
    """Return {distribution: version} of a lock file."""
    text = (ROOT / "requirements" / lock).read_text()
    return dict(re.findall(r"^([\w.-]+)==(\S+)", text, flags=re.MULTILINE))


def names(requirements: list[str | dict[str, str]]) -> set[str]:
    """Return the distributions that a list in pyproject.toml asks for."""
    return {
        canonical(re.split(r"[^\w.-]", each, maxsplit=1)[0]) for each in requirements if isinstance(each, str)
    }


def build(kind: str, source: Path, into: Path) -> Path:
    """Build a wheel or an sdist from `source` with the installed backend; return its path."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", kind, "--directory", str(into)]
    done = subprocess.run(command, cwd=source, check=False, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr
    (made,) = into.iterdir()
    return made


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return a copy of the checkout to build from, with stray files beside what is the project's."""
    folder = tmp_path / "source"
    leftovers = (".git", ".venv", ".agentloop", "__pycache__", ".*_cache", ".hypothesis", "dist")
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*leftovers))
    (folder / "secret.env").write_text("KEY=canary")
    (folder / ".agentloop").mkdir()
    (folder / ".agentloop" / "status.json").write_text("{}")
    return folder


def test_wheel_holds_the_package_the_prompts_and_the_unit(source: Path, tmp_path: Path) -> None:
    """Every module, prompt and the unit file are in the wheel; nothing else of the checkout is."""
    with zipfile.ZipFile(build("wheel", source, tmp_path / "dist")) as wheel:
        shipped = {name for name in wheel.namelist() if ".dist-info/" not in name}
    modules = {
        f"agentloop/{path.relative_to(source / 'src' / 'agentloop').as_posix()}"
        for path in (source / "src" / "agentloop").rglob("*")
        if path.is_file()
    }
    prompts = {
        f"agentloop/{path.relative_to(source).as_posix()}"
        for path in (source / "prompts").rglob("*")
        if path.is_file()
    }
    assert shipped == modules | prompts | {
        "agentloop/systemd/agentloop.service",
        "agentloop/systemd/agentloop-webhook.service",
    }
    assert prompts


def test_source_distribution_makes_the_same_wheel(source: Path, tmp_path: Path) -> None:
    """The wheel made from the sdist is the checkout's wheel, byte by byte; stray files stay at home."""
    sdist = build("sdist", source, tmp_path / "sdist")
    subprocess.run(["tar", "-xf", sdist, "-C", tmp_path], check=True, timeout=120)
    unpacked = tmp_path / sdist.name.removesuffix(".tar.gz")
    inside = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*")}
    direct = build("wheel", source, tmp_path / "direct")
    detour = build("wheel", unpacked, tmp_path / "detour")
    assert detour.read_bytes() == direct.read_bytes()
    assert {"pyproject.toml", "LICENSE", "README.md", "scripts/test", "requirements/dev.txt"} <= inside
    assert not inside & {"secret.env", ".agentloop/status.json"}


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_pins_and_hashes_everything_and_names_no_host(lock: str) -> None:
    """Each requirement has a version and a hash; no host, path or option of the maker is in it."""
    text = (ROOT / "requirements" / lock).read_text().replace("\\\n", " ")
    requirements = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    assert [line for line in requirements if not re.match(r"[\w.-]+==\S+ .*--hash=sha256:\w{64}", line)] == []
    assert re.findall(r"\S*://\S*|--(?!hash=)\S+|(?<!\S)/\S+", text) == []


def test_locks_hold_what_the_project_asks_for() -> None:
    """Dependencies and the build backend are in both locks, tools in the second, and versions agree."""
    project, groups = PROJECT["project"], PROJECT["dependency-groups"]
    run, dev = pins("run.txt"), pins("dev.txt")
    needed = names(project["dependencies"]) | names(PROJECT["build-system"]["requires"])
    assert needed - run.keys() == set()
    assert (
        needed | names(groups["dev"]) | names(project["optional-dependencies"]["github"])
    ) - dev.keys() == set()
    assert {name: version for name, version in run.items() if dev.get(name) != version} == {}
