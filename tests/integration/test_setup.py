"""scripts/setup says what is missing, and how to get it, before it touches anything."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ("bash", "cat", "dirname", "env", "find", "mktemp", "rm", "sort")

OLD = "#!/bin/sh\nexit 1\n"
BARE = '#!/bin/sh\ncase "$*" in *ensurepip*) exit 1 ;; *print*) echo python3.12-venv ;; esac\n'


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a folder with what scripts/setup reads, and in bin/ the tools of a bare machine."""
    folder = tmp_path / "checkout"
    (folder / "bin").mkdir(parents=True)
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found is not None
        (folder / "bin" / tool).symlink_to(found)
    for name in ("scripts", "requirements", "src", "prompts", "systemd"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    return folder


def install(checkout: Path, name: str, text: str) -> None:
    """Put a program of our own among the machine's tools."""
    path = checkout / "bin" / name
    path.write_text(text)
    path.chmod(0o755)


def setup(checkout: Path, *arguments: str) -> tuple[int, str]:
    """Run scripts/setup with nothing on the PATH but bin/; return its exit code and what it said."""
    done = subprocess.run(
        [checkout / "scripts" / "setup", *arguments],
        env={"PATH": str(checkout / "bin"), "HOME": str(checkout)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.stdout == ""
    assert not (checkout / ".venv").exists()
    return done.returncode, done.stderr


def with_git(checkout: Path) -> Path:
    """Add git to the machine."""
    found = shutil.which("git")
    assert found is not None
    (checkout / "bin" / "git").symlink_to(found)
    return checkout


def test_missing_git_is_named(checkout: Path) -> None:
    """Without git nothing is begun."""
    assert setup(checkout) == (
        1,
        "setup: git is missing; install it (Debian, Ubuntu: apt-get install git)\n",
    )


def test_missing_python_is_named(checkout: Path) -> None:
    """An interpreter that is too old does not count."""
    install(with_git(checkout), "python3", OLD)
    code, said = setup(checkout)
    assert (code, said.partition(";")[0]) == (1, "setup: no Python >= 3.11 on the PATH")


def test_python_without_ensurepip_says_which_package_has_it(checkout: Path) -> None:
    """Debian's own Python comes without ensurepip; the package that has it is named."""
    install(with_git(checkout), "python3.12", BARE)
    assert setup(checkout, "dev") == (
        1,
        (
            "setup: python3.12 has no ensurepip, so it cannot make a virtual environment; "
            "install it (Debian, Ubuntu: apt-get install python3.12-venv)\n"
        ),
    )


def test_unknown_level_is_refused(checkout: Path) -> None:
    """A typing error is no reason to install something."""
    assert setup(with_git(checkout), "devel") == (1, "setup: no such level: devel (run or dev)\n")
