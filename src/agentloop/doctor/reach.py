"""What lies outside: the model's key, the model, its prices, the targets."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, assert_never
from urllib.parse import urlsplit

from agentloop.doctor.check import Check, fail, ok, skip, warn
from agentloop.domain.globs import matches
from agentloop.domain.model import Limited, Rejected, Unavailable
from agentloop.domain.valueclass import dataclass, field
from agentloop.errors import AgentloopError, SettingsError

if TYPE_CHECKING:
    from agentloop.domain.settings import Settings, Target
    from agentloop.home import Home

PRICES_OLD_DAYS: Final = 180
MODEL_SECONDS: Final = 8.0
_VENDOR: Final = "https://api.anthropic.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelKey:
    """The model's key and where it was found; showing it never shows the key."""

    value: str = field(repr=False)
    where: str
    file: Path | None = None


def key(home: Home, settings: Settings) -> tuple[ModelKey | None, Check]:
    """Look for the model's key, as the loop does, and at who can read it; return it too, never show it."""
    from agentloop.edges import keys

    named = settings.models.key_file
    said = os.environ.get(keys.KEY_VARIABLE, "")
    try:
        value = keys.find_key(named, said)
    except (OSError, UnicodeDecodeError) as error:
        return None, fail(
            "key", f"models.key_file cannot be read: {error}", f"put the key alone into {named}"
        )
    if not value:
        return None, fail(
            "key",
            "there is no API key: no model can be asked",
            "export ANTHROPIC_API_KEY=…, or name a file that holds it: key_file in [models]",
        )
    if named:
        found = ModelKey(value=value, where=named, file=Path(named))
    elif said:
        found = ModelKey(value=value, where=keys.KEY_VARIABLE)
    else:
        found = ModelKey(value=value, where=f"the systemd credential {keys.CREDENTIAL}")
    return found, _key_in_sight(home, settings, found)


def _key_in_sight(home: Home, settings: Settings, found: ModelKey) -> Check:
    said = f"found in {found.where}"
    if found.file is not None:
        if found.file.resolve().is_relative_to(home.root.resolve()):
            return warn("key", f"{said}, which is inside the home", "keep it outside of every repository")
        if stat.S_IMODE(found.file.stat().st_mode) & (stat.S_IRWXG | stat.S_IRWXO):
            return warn("key", f"{said}, which others may read", f"chmod 600 {found.file}")
    parts = urlsplit(_address(settings))
    if parts.scheme == "http" and parts.hostname not in {"127.0.0.1", "localhost", "::1"}:
        return warn("key", f"{said}; it is sent unencrypted to {parts.hostname}", "use an https:// base_url")
    return ok("key", said)


def model(settings: Settings, key: ModelKey | None) -> Check:
    """Ask the Messages API for its list of models: free, and it tells a bad key from a bad connection."""
    address = _address(settings)
    if key is None:
        return skip("model", f"{address} was not asked, because there is no key")
    from agentloop.edges.anthropic import AnthropicModel

    try:
        port = AnthropicModel(api_key=key.value, base_url=address)
    except SettingsError as error:
        return fail("model", error.what, error.fix)
    match port.reachable(MODEL_SECONDS):
        case None:
            return ok("model", f"{address} answers and takes the key")
        case Rejected(why=why, fix=fix):
            return fail("model", f"{address} refuses: {why}", fix)
        case Limited(why=why):
            return warn(
                "model", f"{address} answers, but is limited now: {why}", "wait; the loop waits by itself"
            )
        case Unavailable(why=why):
            return fail(
                "model", f"{address} cannot be reached: {why}", "check network, proxy and models.base_url"
            )
        case never:
            assert_never(never)


def _address(settings: Settings) -> str:
    return settings.models.base_url or _VENDOR


def prices(settings: Settings) -> Check:
    """Look how old the shipped prices are; that every model has one was looked at with the settings."""
    from agentloop.edges.metered import shipped_prices

    try:
        table = shipped_prices()
    except SettingsError as error:
        return fail("prices", error.what, error.fix)
    age = (datetime.now(tz=UTC).date() - table.as_of).days
    models = settings.models
    used = {models.admin, models.admin_fallback, models.worker, models.worker_fallback} - {""}
    said = f"known for {', '.join(sorted(used))}; as of {table.as_of}"
    if age > PRICES_OLD_DAYS:
        return warn(
            "prices", f"{said}, {age} days ago", "update agentloop, or name prices of your own in [prices]"
        )
    return ok("prices", said)


def targets(home: Home, settings: Settings) -> Iterator[Check]:
    """Look whether each target can be read, has the branch, shows tests, and has its commands on the PATH."""
    for target in settings.targets:
        check, commit = _reached(home, settings, target)
        yield check
        if target.tracker == "github":
            yield _github(home, settings, target)
        if check.state == "ok":
            yield _tests(home, target, commit)
            yield from _commands(target, settings.worker.path or os.environ.get("PATH", os.defpath))


def _reached(home: Home, settings: Settings, target: Target) -> tuple[Check, str]:
    """How the target looks, and the commit its branch is at ("" when that cannot be seen)."""
    from agentloop.edges.github.connecting import login_of
    from agentloop.edges.mirror import mirror_of

    name, login = f"target {target.name}", login_of(settings, target)
    try:
        # Looked at from a folder that is thrown away: doctor leaves no trace in the home.
        with tempfile.TemporaryDirectory(prefix="agentloop-doctor-") as scratch:
            remote = mirror_of(target, home.root, Path(scratch) / "looking.git", login).look()
    except (AgentloopError, OSError) as error:
        fix = error.fix if isinstance(error, AgentloopError) else "check the path of the repository"
        return fail(name, error.what if isinstance(error, AgentloopError) else str(error), fix), ""
    wanted = target.branch or remote.default
    if not remote.branches:
        return fail(name, f"{target.repository} has no commits", "make a first commit on its branch"), ""
    if wanted not in remote.branches:
        known = ", ".join(sorted(remote.branches)[:5])
        fix = f"set branch of the target to one of: {known}"
        return fail(name, f"there is no branch {wanted!r}", fix), ""
    commit = remote.branches[wanted]
    return ok(name, f"{target.repository}, branch {wanted} at {commit[:9]}"), commit


def _github(home: Home, settings: Settings, target: Target) -> Check:
    """Whether its issues can be read, and whether the token is proved unable to merge."""
    from agentloop.domain.guard import could_merge, same_identity
    from agentloop.edges.github.connecting import site_of
    from agentloop.edges.github.site import GUARD_FIX

    name = f"github {target.name}"
    site = site_of(home, settings, target)
    try:
        standing = site.standing()
    except AgentloopError as error:
        return fail(name, error.what, error.fix)
    finally:
        site.close()
    why = could_merge(standing)
    own = same_identity(standing)
    if not why and own:
        return warn(name, f"{site.repository}: {own}", "make an account for the loop: see docs/github.md")
    if not why:
        return ok(name, f"{site.repository} as {standing.login}, who is proved unable to merge")
    told = f"{why}; {own}" if own else why
    if site.guarded:
        return fail(name, f"nothing will be pushed: {told}", GUARD_FIX)
    return warn(name, f"not proved: {told}: every pull request says so", GUARD_FIX)


def webhook(settings: Settings) -> Iterator[Check]:
    """Look at the hook's secret, and whether deliveries are taken; without a secret there is no check."""
    from agentloop.edges.github.hooksecret import CREDENTIAL, secret_in
    from agentloop.edges.webhook import is_listening
    from agentloop.settings.rules import OWN

    listen, folder = settings.webhook.listen, os.environ.get("CREDENTIALS_DIRECTORY", "")
    if not settings.webhook.secret_file and not (folder and (Path(folder) / CREDENTIAL).exists()):
        return
    try:
        secret_in(settings.webhook.secret_file)
    except AgentloopError as error:
        yield fail("webhook", error.what, error.fix)
        return
    if not is_listening(listen):
        yield warn(
            "webhook",
            f"nothing listens at {listen}: news on GitHub is seen within a minute, not within seconds",
            "agentloop webhook, or: systemctl start agentloop-webhook",
        )
    elif listen.rpartition(":")[0].strip("[]") not in OWN:
        yield warn(
            "webhook",
            f"deliveries are taken at {listen}, from everywhere and without encryption",
            "listen on 127.0.0.1, behind a proxy or tunnel that takes TLS",
        )
    else:
        yield ok("webhook", f"deliveries are taken at {listen}")


def _tests(home: Home, target: Target, commit: str) -> Check:
    """How many files of the base the gate would hold to what they were."""
    name = f"target {target.name}"
    paths = _files(home, target, commit)
    if paths is None:
        return skip(name, "its tests are counted once the loop has fetched it")
    count = sum(matches(path, target.tests) for path in paths)
    if count == 0:
        return warn(
            name,
            f"none of its {len(paths)} files counts as a test: a change could empty them all",
            f'name its tests in agentloop.toml, [[target]] {target.name}: tests = ["checks/**"]',
        )
    return ok(name, f"{count} of {len(paths)} files count as tests")


def _files(home: Home, target: Target, commit: str) -> list[str] | None:
    """The paths at `commit`, from the repository where it lies here, else from the mirror; None = neither."""
    from agentloop.edges.git import Git, GitError
    from agentloop.edges.mirror import mirror_of

    mirror = home.mirror_of(target.name)
    for folder in (Path(mirror_of(target, home.root, mirror).address), mirror):
        if not folder.is_dir():
            continue
        try:
            listed = Git(folder).look("ls-tree", "-r", "-z", "--name-only", "--full-tree", commit)
        except GitError:
            continue
        return [path for path in listed.split("\0") if path]
    return None


def _commands(target: Target, search: str) -> Iterator[Check]:
    name = f"target {target.name}"
    if not target.verify:
        yield warn(
            name,
            "it has no verify commands: only a contract's own checks will be run",
            'name its tests in agentloop.toml, e.g. verify = ["python -m pytest -q"]',
        )
    for command in (*target.verify, *([target.setup] if target.setup else [])):
        program = _program(command)
        if program and "/" not in program and shutil.which(program, path=search) is None:
            yield warn(
                name,
                f"{program} is not on the sandbox's PATH ({command!r})",
                "install it, or set worker.path",
            )


def _program(command: str) -> str:
    """The program that a command line starts, as far as can be told without a shell."""
    try:
        words = shlex.split(command)
    except ValueError:
        return ""
    named = [word for word in words if "=" not in word]
    plain = (
        bool(named) and named[0].replace("-", "").replace(".", "").replace("_", "").replace("/", "").isalnum()
    )
    return named[0] if plain and named[0] not in _BUILTINS else ""


_BUILTINS: Final = frozenset(
    {"cd", "test", "set", "export", "exec", "eval", "if", "for", "while", "true", "false"}
)
