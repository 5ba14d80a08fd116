"""Every setting, in one place: its type, its default and what it means.

The comments in a new `agentloop.toml`, the reference in the docs and the validation are made from these
fields. Parsing files and environment variables happens in `agentloop.settings`; the rest of the program reads
the compiled JSON, which is these values encoded.
"""

from __future__ import annotations

from typing import Any, Literal

from agentloop.domain.valueclass import dataclass, field


def setting(
    default: Any, doc: str, *, kind: str = "", least: float | None = None, most: float | None = None
) -> Any:
    """Return a dataclass field with a default and the sentence that explains it to a person.

    `least` and `most` bound a number, both included; `kind` names what a text means (name, repository,
    branch, command, glob, model, url, path, folders, listen), and with it the check that
    `agentloop.settings` makes.
    """
    return field(default=default, metadata={"doc": doc, "kind": kind, "least": least, "most": most})


HOUR = 3600
DAY = 24 * HOUR
KEPT = "the settings cannot be used, the last good ones stay in force"
"""How every complaint about bad settings begins; what is wrong with them follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A repository that the loop works for."""

    name: str = field(metadata={"doc": "short name, used in issues: letters, digits, . _ -", "kind": "name"})
    repository: str = field(
        metadata={
            "doc": "path (relative to the home, or absolute) or URL of the repository",
            "kind": "repository",
        }
    )
    tracker: Literal["built-in", "github"] = setting(
        "built-in",
        "where its issues and pull requests live: in this home, or on the GitHub that `repository` names",
    )
    autonomy: Literal["", "suggest", "draft", "propose"] = setting(
        "",
        "how far the loop goes by itself: 'suggest' plans, asks and comments, and builds nothing; 'draft' "
        "opens drafts; 'propose' opens pull requests ready for review; empty = github.autonomy where its "
        "tracker is GitHub, else 'draft'",
    )
    suggest_labels: tuple[str, ...] = setting(
        (),
        "labels whose issues are under 'suggest', whatever `autonomy` says; of several the most careful wins",
    )
    draft_labels: tuple[str, ...] = setting((), "labels whose issues are under 'draft'")
    propose_labels: tuple[str, ...] = setting((), "labels whose issues are under 'propose', e.g. ['docs']")
    branch: str = setting(
        "", "branch that pull requests go into; empty = the repository's default branch", kind="branch"
    )
    setup: str = setting(
        "",
        "command that readies a fresh checkout, e.g. 'npm ci --offline'; runs in the sandbox",
        kind="command",
    )
    verify: tuple[str, ...] = setting(
        (), "commands that every change must pass, e.g. ['python -m pytest -q']", kind="command"
    )
    protected: tuple[str, ...] = setting((), "extra path globs that no change may touch", kind="glob")
    tests: tuple[str, ...] = setting(
        # Wherever a language's own tools look for tests, and what lies beside them. Folders and modules named
        # `testing` are left out: that is what projects call what they ship for other people's tests.
        (
            "**/{test,tests,Test,Tests,unittest,unittests,__tests__,testdata,e2e,cypress}/**",
            "**/*.{Test,Tests,UnitTests,IntegrationTests}/**", "**/{__fixtures__,__mocks__,__snapshots__}/**",
            "**/spec/{support,helpers,fixtures}/**", "**/test_*.*", "**/{test,test[!i]*,conftest}.py",
            "**/*{_,-,.}{test,tests}.*", "**/*{_,-,.}spec.{rb,js,jsx,ts,tsx,mjs,cjs,mts,cts,lua,cr,php}",
            "**/*{Test,Tests,TestCase}.{java,kt,scala,groovy,cs,fs,vb,php,swift,js,ts}", "**/spec_helper.rb",
            "**/*Spec.{groovy,hs,js,ts}", "**/*.{bats,cy.js,cy.ts,feature,snap,t}",
        ),
        "path globs of tests: those on the base commit are run as they stand there",
        kind="glob",
    )  # fmt: skip
    configuration: tuple[str, ...] = setting(
        (
            "pyproject.toml", "setup.cfg", "setup.py", "tox.ini", "pytest.ini", "noxfile.py", "package.json",
            "Makefile", "justfile", ".github/**", ".pre-commit-config.yaml",
        ),
        "path globs of build and test configuration: taken from the base commit when checks run",
        kind="glob",
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Ceilings. Reaching one stops the work in hand and says so; it is never an error."""

    attempt_usd: float = setting(2.0, "dollars one attempt may spend on model calls", least=0.001, most=1000)
    cycle_usd: float = setting(1.0, "dollars the admin agent may spend in one cycle", least=0.001, most=1000)
    day_usd: float = setting(20.0, "dollars a day (UTC), everything included", least=0.001, most=100_000)
    total_usd: float = setting(
        200.0, "dollars in all; raise it when it is reached", least=0.001, most=1_000_000
    )
    call_usd: float = setting(
        2.0,
        "dollars that a single model call could cost at most; a dearer one is not made; 0 = no limit",
        least=0,
        most=1000,
    )
    task_usd: float = setting(
        8.0, "dollars for all attempts at one task; 0 = no limit", least=0, most=100_000
    )
    issue_usd: float = setting(
        30.0,
        "dollars for one issue: its tasks, and its share of the admin agent; 0 = no limit",
        least=0,
        most=1_000_000,
    )
    hour_usd: float = setting(
        10.0, "dollars in any 60 minutes, everything included; 0 = no limit", least=0, most=100_000
    )
    admin_day_usd: float = setting(
        0.0, "dollars a day (UTC) for the admin agent; 0 = no limit of its own", least=0, most=100_000
    )
    worker_day_usd: float = setting(
        0.0, "dollars a day (UTC) for workers; 0 = no limit of their own", least=0, most=100_000
    )
    call_tokens: int = setting(
        0, "tokens of every kind that a single model call could take; 0 = no limit", least=0, most=10**9
    )
    attempt_tokens: int = setting(
        0,
        "tokens for one attempt, or for the admin agent in one cycle; 0 = all that a wider limit leaves",
        least=0,
        most=10**9,
    )
    task_tokens: int = setting(0, "tokens for all attempts at one task; 0 = no limit", least=0, most=10**12)
    issue_tokens: int = setting(0, "tokens for one issue; 0 = no limit", least=0, most=10**12)
    hour_tokens: int = setting(0, "tokens in any 60 minutes; 0 = no limit", least=0, most=10**12)
    day_tokens: int = setting(0, "tokens a day (UTC); 0 = no limit", least=0, most=10**12)
    total_tokens: int = setting(0, "tokens in all; 0 = no limit", least=0, most=10**15)
    attempt_minutes: int = setting(60, "minutes of wall clock for one attempt", least=1, most=24 * 60)
    attempt_turns: int = setting(80, "model turns for one attempt", least=1, most=10_000)
    attempts_at_once: int = setting(2, "attempts that run at the same time", least=1, most=64)
    attempts_per_task: int = setting(
        4, "attempts that end by their own verdict before a task is parked", least=1, most=50
    )
    retries_per_task: int = setting(3, "further starts after kills, limits and lost leases", least=0, most=50)
    attempts_without_result: int = setting(
        8,
        "attempts in a row, over all tasks, that come to nothing before no more are started: anything new "
        "from a person, or a wake, starts them again",
        least=1,
        most=1000,
    )
    tasks_per_issue: int = setting(8, "tasks that one issue may be cut into", least=1, most=50)
    open_pulls: int = setting(
        5, "pull requests that wait for a person before new work queues", least=1, most=1000
    )
    diff_lines: int = setting(800, "changed lines in one pull request", least=1, most=1_000_000)
    diff_files: int = setting(60, "changed files in one pull request", least=1, most=100_000)
    check_minutes: int = setting(10, "minutes for one check", least=1, most=24 * 60)
    disk_mb: int = setting(
        10_000,
        "megabytes that the runtime folder may take, work trees aside: beyond it records of finished tasks "
        "go, the oldest first, and when that is not enough no attempt is started",
        least=10,
        most=100_000_000,
    )
    attempt_mb: int = setting(
        10_000,
        "megabytes of disk that an attempt may take while it runs (tree, git directory, scratch): beyond it "
        "it ends, its work committed",
        least=10,
        most=100_000_000,
    )
    free_mb: int = setting(
        200,
        "megabytes that stay free on the disk (a twentieth of a small one): below it attempts end, their "
        "work committed, and below twice as much none is started; 0 = not looked at",
        least=0,
        most=100_000_000,
    )
    pack_mb: int = setting(50, "megabytes that a result may weigh", least=1, most=2048)


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """Which model plays which role, and what steps in when it refuses or is out."""

    admin: str = setting("claude-sonnet-5-5", "model of the admin agent", kind="model")
    admin_fallback: str = setting(
        "claude-sonnet-5", "used when the admin's model refuses or is out; empty = none", kind="model"
    )
    worker: str = setting("claude-sonnet-5-5", "model of the built-in worker agent", kind="model")
    worker_fallback: str = setting(
        "claude-sonnet-5", "used when the worker's model refuses or is out; empty = none", kind="model"
    )
    base_url: str = setting("", "Messages API endpoint; empty = the vendor's", kind="url")
    key_file: str = setting(
        "", "file that holds the API key; empty = ANTHROPIC_API_KEY, then a systemd credential", kind="path"
    )
    max_output_tokens: int = setting(8192, "output tokens for one model call", least=256, most=200_000)
    call_seconds: int = setting(300, "seconds for one model call", least=5, most=HOUR)
    admin_turns: int = setting(12, "model turns of the admin in one cycle", least=1, most=100)
    admin_seconds: int = setting(600, "seconds of the admin in one cycle", least=10, most=HOUR)
    context_tokens: int = setting(
        120_000,
        "a worker's conversation is summed up and started afresh beyond this",
        least=8000,
        most=10_000_000,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Micro-dollars for a million tokens of each kind. In settings files they are written in dollars."""

    input: int
    output: int
    cache_write: int
    cache_read: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """How attempts are run."""

    sandbox: Literal["bubblewrap", "none"] = setting(
        "bubblewrap",
        "'none' lets an agent's commands run with your own rights: every pull request will say so",
    )
    read: tuple[str, ...] = setting(
        (), "extra paths that the sandbox may read, e.g. a tool chain in your home folder", kind="path"
    )
    path: str = setting("", "PATH inside the sandbox; empty = the loop's own", kind="folders")
    command_seconds: int = setting(600, "seconds for one command of an agent", least=1, most=DAY)
    grace_seconds: int = setting(
        600, "how long an attempt outlives a supervisor that went away", least=0, most=DAY
    )
    ready_trees: int = setting(
        2,
        "work trees made ahead for each target, so that an attempt starts at once; 0 = none",
        least=0,
        most=64,
    )
    ready_mb: int = setting(
        2048, "megabytes that work trees made ahead may take, all targets together", least=0, most=1_000_000
    )
    stall_turns: int = setting(
        8,
        "model turns in a row that may bring nothing new (no new answer of a tool, no change to the files): "
        "then it is told so, begun afresh from a summary, and ended; 0 = not counted",
        least=0,
        most=10_000,
    )
    stall_minutes: int = setting(
        20,
        "the same in minutes of waiting for the model; a command that runs is no silence; 0 = not counted; "
        "more than models.call_seconds allows, or one slow call counts as a stall (said as a warning)",
        least=0,
        most=24 * 60,
    )
    backoff_seconds: int = setting(
        60, "first wait before a killed attempt is started again; doubles each time", least=1, most=HOUR
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """Which plans wait for a person's word before anything is built; the others start at once."""

    paths: tuple[str, ...] = setting(
        ("**/migrations/**", "**/*.tf", "deploy/**"),
        "path globs that a change touches only when its plan named them and was approved: its gate holds it",
        kind="glob",
    )
    tasks: int = setting(4, "more changes than these in one plan wait; 0 = any number", least=0, most=50)
    cost_usd: float = setting(
        5.0, "dollars expected, by our own estimate, above which a plan waits; 0 = any", least=0, most=100_000
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GitHub:
    """How targets with `tracker = "github"` are reached, and what the loop may do there."""

    token_file: str = setting(
        "", "file that holds the token; empty = the systemd credential `github-token`", kind="path"
    )
    api_url: str = setting(
        "", "address of the API; empty = that of the repository's host (Enterprise: /api/v3)", kind="url"
    )
    trusted: tuple[int, ...] = setting(
        (), "numbers of accounts that are listened to besides owners, members and collaborators"
    )
    trust_label: str = setting(
        "agentloop",
        "an outsider's issue counts while it has this label, set by a trusted person after its words were "
        "changed last; empty = never",
    )
    autonomy: Literal["suggest", "draft", "propose"] = setting(
        "draft", "`autonomy` of those targets that do not name their own"
    )
    reviewers: tuple[str, ...] = setting(
        (), "logins that are asked for a review; empty = whoever filed the issue"
    )
    merge_guard: Literal["prove", "trust"] = setting(
        "prove",
        "'prove': nothing is pushed unless GitHub says that the token cannot merge; 'trust': every pull "
        "request says that it was not proved",
    )
    board: str = setting(
        "",
        "target in whose repository the dashboard, a pinned issue, is kept; empty = the first one on GitHub; "
        "'none' = no dashboard",
        kind="board",
    )
    reserve: int = setting(
        500, "requests of the hour that are left for whoever else uses the token", least=0, most=10_000
    )
    write_seconds: float = setting(1.0, "seconds between two writes", least=0, most=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Where `agentloop webhook` takes GitHub's deliveries, so that news is seen within seconds. Optional."""

    listen: str = setting(
        "127.0.0.1:8787",
        "address and port; whatever takes TLS (a proxy, a tunnel) hands on to it: path /webhook",
        kind="listen",
    )
    secret_file: str = setting(
        "",
        "file that holds the hook's secret; empty = the systemd credential `webhook-secret`",
        kind="path",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayRemote:
    """Where the home, and in it the relay, can be read and edited besides on this machine."""

    remote: str = setting(
        "",
        "git remote that the home's branch is pushed to after each cycle that changed it; empty = the "
        "branch's upstream, else `origin`, when there is one; 'none' = no push",
        kind="branch",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sleep:
    """How long the loop sleeps when nothing wakes it."""

    busy_seconds: int = setting(300, "while attempts run", least=1, most=DAY)
    idle_seconds: int = setting(1800, "when nothing has happened for a while", least=1, most=7 * DAY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervision:
    """How the supervisor treats its cycles."""

    cycle_deadline_seconds: int = setting(900, "a cycle that runs longer is ended", least=1, most=DAY)
    drain_seconds: int = setting(30, "how long a stop waits for the cycle in hand", least=0, most=HOUR)
    backoff_seconds: int = setting(
        10, "first wait after a failed cycle; doubles each time", least=1, most=HOUR
    )
    backoff_max_seconds: int = setting(1800, "longest wait after a failed cycle", least=1, most=DAY)
    breaker_after: int = setting(5, "failed cycles in a row that open the breaker", least=1, most=100)
    breaker_seconds: int = setting(1800, "wait while the breaker is open, before one try", least=1, most=DAY)
    poll_seconds: int = setting(
        5, "how often to look where the kernel cannot tell us (no inotify)", least=1, most=HOUR
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """Parts that can be switched off; the rest still works."""

    workers: bool = setting(True, "false: plan only, nothing is worked on")
    gate: bool = setting(True, "false: only the contract's own checks are run, no further scan")
    memory: bool = setting(True, "false: no research notes are handed to later tasks")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of a home, validated."""

    targets: tuple[Target, ...] = ()
    limits: Limits = Limits()
    models: Models = Models()
    worker: Worker = Worker()
    approval: Approval = Approval()
    github: GitHub = GitHub()
    webhook: Webhook = Webhook()
    relay: RelayRemote = RelayRemote()
    sleep: Sleep = Sleep()
    supervision: Supervision = Supervision()
    layers: Layers = Layers()
    prices: dict[str, Price] = field(default_factory=dict)

    def target(self, name: str) -> Target | None:
        """Return the target called `name`; an empty name means the only one, or the first."""
        if not name:
            return self.targets[0] if self.targets else None
        return next((target for target in self.targets if target.name == name), None)


MICROS = 1_000_000
"""Micro-dollars in a dollar: money is counted in whole micro-dollars, so that sums are exact."""


def micros(usd: float) -> int:
    """Return dollars as whole micro-dollars."""
    return round(usd * MICROS)
