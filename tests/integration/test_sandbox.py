"""Ways out of the sandbox, each tried: what a worker's command can see, write, reach and leave behind."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agentloop.domain.settings import Worker
from agentloop.edges import executor
from agentloop.errors import UnsafeError
from agentloop.worker import sandbox as sandboxes
from agentloop.worker.sandbox import sandbox_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentloop.worker.sandbox import Ran, Sandbox

needs_bubblewrap = pytest.mark.skipif(
    shutil.which("bwrap") is None, reason="needs bubblewrap (apt-get install bubblewrap)"
)
CANARY = "canary-5f1d0c"


class Cell:
    """A sandbox as an attempt has it, in a home with things to steal and to break."""

    def __init__(self, root: Path) -> None:
        self.home = root / "home"
        self.attempt = self.home / ".agentloop/attempts/1.1.1"
        self.tree = self.attempt / "tree"
        self.git = self.attempt / "git"
        self.tmp = self.attempt / "tmp"
        self.objects = self.home / ".agentloop/mirrors/calc.git/objects"
        for folder in (
            self.tree,
            self.git,
            self.tmp,
            self.objects,
            self.home / ".ssh",
            self.home / ".agentloop/run",
        ):
            folder.mkdir(parents=True)
        for name in ("spec.json", "ledger.jsonl", "events.jsonl", "end.json"):
            (self.attempt / name).write_text(CANARY)
        (self.home / ".ssh/id_ed25519").write_text(CANARY)
        (self.home / "agentloop.toml").write_text(CANARY)
        (self.objects / "lent").write_text("lent")

    def sandbox(self, kind: str = "bubblewrap", **more: object) -> Sandbox:
        """The sandbox of the attempt's hands."""
        return sandbox_for(
            Worker(sandbox=kind),  # type: ignore[arg-type]
            writable=(self.tree, self.git),
            readable=(self.objects,),
            hidden=(self.home / ".agentloop",),
            tmp=self.tmp,
            **more,  # type: ignore[arg-type]
        )

    def sh(self, command: str, seconds: float = 20) -> Ran:
        """Run a shell command in it."""
        return self.sandbox().run(["/bin/sh", "-c", command], cwd=self.tree, timeout_seconds=seconds)

    def py(self, code: str, seconds: float = 20) -> Ran:
        """Run Python in it."""
        return self.sandbox().run([sys.executable, "-I", "-c", code], cwd=self.tree, timeout_seconds=seconds)


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    """A cell."""
    return Cell(tmp_path)


SEEN = {
    "the person's keys": "cat {home}/.ssh/id_ed25519",
    "the settings": "cat {home}/agentloop.toml",
    "the spec": "cat {attempt}/spec.json",
    "the spec, by way of the tree": "cat ../spec.json",
    "the ledger": "cat {attempt}/ledger.jsonl",
    "the spec through a link": "ln -s {attempt}/spec.json s; cat s",
    "the spec through a link to the root of a process": "cat /proc/*/root{attempt}/spec.json",
    "the spec through the first process": "timeout 1 cat /proc/1/fd/*; cat /proc/1/cwd/{attempt}/spec.json",
    "any of them": "grep -rs canary-5f1d0c / --include=*.json --exclude-dir=proc --exclude-dir=usr",
    "the environment of any process": "cat /proc/*/environ | tr '\\0' '\\n'; env",
    "password hashes": "cat /etc/shadow /etc/gshadow; getent shadow",
}


@needs_bubblewrap
@pytest.mark.parametrize("what", SEEN)
def test_it_cannot_read(cell: Cell, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the home or the attempt's records, no secret of the machine or of our environment."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", CANARY)
    ran = cell.sh(SEEN[what].format(home=cell.home, attempt=cell.attempt))
    assert CANARY not in ran.text.replace("grep -rs canary-5f1d0c", "")
    assert "$y$" not in ran.text
    assert "root:*" not in ran.text


WRITTEN = {
    "the home": "echo x > {home}/new",
    "the spec": "echo x > {attempt}/spec.json",
    "the ledger, appended": "echo x >> {attempt}/ledger.jsonl",
    "an end record": "echo x > {attempt}/end.json || mv f {attempt}/end.json",
    "the spec through a link": "ln -s {attempt}/spec.json s; echo x > s",
    "lent objects": "echo x > {objects}/new || rm {objects}/lent",
    "the tree's own folder": "mv {tree} {attempt}/other || rmdir {tree} || rm -rf {attempt}",
    "system programs": "echo x > /usr/bin/agentloop-probe",
    "system settings": "echo x > /etc/agentloop-probe",
    "the root": "echo x > /agentloop-probe",
    "devices": "echo x > /dev/agentloop-probe",
    "kernel settings": "echo x > /proc/sys/kernel/core_pattern || echo 1 > /proc/sys/vm/drop_caches",
    "the magic key": "echo h > /proc/sysrq-trigger",
    "the interpreter": "echo x > {prefix}/agentloop-probe",
    "another root, by remounting": "mount -o remount,rw / || mount --bind {tree} /usr || umount /usr",
    "another root, by namespaces": "unshare -Urm true || unshare -U true",
}


@needs_bubblewrap
@pytest.mark.parametrize("what", WRITTEN)
def test_it_cannot_write(cell: Cell, what: str) -> None:
    """Each try fails, and what is outside stays as it was."""
    words = {
        "home": cell.home,
        "attempt": cell.attempt,
        "objects": cell.objects,
        "tree": cell.tree,
        "prefix": sys.prefix,
    }
    pattern = Path("/proc/sys/kernel/core_pattern").read_text()
    ran = cell.sh(WRITTEN[what].format(**words))
    assert ran.status != 0, ran.text
    assert sorted(path.name for path in cell.home.iterdir()) == [".agentloop", ".ssh", "agentloop.toml"]
    assert (cell.attempt / "spec.json").read_text() == CANARY
    assert (cell.attempt / "ledger.jsonl").read_text() == CANARY
    assert (cell.attempt / "end.json").read_text() == CANARY
    assert [path.name for path in cell.objects.iterdir()] == ["lent"]
    assert cell.tree.is_dir()
    assert Path("/proc/sys/kernel/core_pattern").read_text() == pattern
    for path in (
        "/usr/bin/agentloop-probe",
        "/etc/agentloop-probe",
        "/agentloop-probe",
        "/dev/agentloop-probe",
    ):
        assert not Path(path).exists()


@needs_bubblewrap
def test_it_can_do_its_work(cell: Cell) -> None:
    """Tree, git directory and /tmp are its own; lent objects can be read; Python and git are there."""
    ran = cell.sh(
        f"echo a > a && echo b > {cell.git}/b && echo c > /tmp/c && cat {cell.objects}/lent && git --version"
        " && python3 -c 'import socket; print(socket.create_server((\"127.0.0.1\", 0)).getsockname()[0])'"
        " && echo d > /dev/shm/d && id -un"
    )
    assert ran.status == 0, ran.text
    assert (cell.tree / "a").read_text() == "a\n"
    assert (cell.git / "b").read_text() == "b\n"
    assert (cell.tmp / "c").read_text() == "c\n"
    assert "127.0.0.1" in ran.text
    assert ran.text.endswith("agent\n")


@needs_bubblewrap
def test_it_cannot_reach_a_server_on_this_machine(cell: Cell) -> None:
    """The loopback inside is not the loopback outside."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        ran = cell.py(f"import socket; socket.create_connection(('127.0.0.1', {port}), 2)")
    assert "ConnectionRefusedError" in ran.text


@needs_bubblewrap
def test_it_cannot_reach_an_abstract_socket(cell: Cell) -> None:
    """Abstract Unix sockets belong to the network namespace."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0agentloop-probe")
        server.listen()
        ran = cell.py("import socket; socket.socket(socket.AF_UNIX).connect('\\0agentloop-probe')")
    assert "ConnectionRefusedError" in ran.text


@needs_bubblewrap
def test_it_cannot_reach_a_socket_in_the_file_system(cell: Cell) -> None:
    """A socket of a service (an agent's, a container engine's) is not in sight."""
    path = cell.home / "s"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        ran = cell.py(f"import socket; socket.socket(socket.AF_UNIX).connect({str(path)!r})")
    assert "FileNotFoundError" in ran.text
    path.unlink()


@needs_bubblewrap
@pytest.mark.parametrize(
    "family", [17, 21, 30, 31, 38, 40, 44], ids=["packet", "rds", "tipc", "bluetooth", "alg", "vsock", "xdp"]
)
def test_it_has_no_sockets_of_other_families(cell: Cell, family: int) -> None:
    """Families that know no network namespace, or that builds do not need, are refused."""
    ran = cell.py(f"import socket; socket.socket({family}, socket.SOCK_DGRAM)")
    assert ran.status == 1
    assert "not supported" in ran.text


@needs_bubblewrap
@pytest.mark.parametrize(
    "call",
    [
        ("keyctl", 250, 0, -3, 1),
        ("add_key", 248, 0, 0, 0),
        ("bpf", 321, 0, 0, 0),
        ("perf_event_open", 298, 0, 0, 0),
        ("userfaultfd", 323, 0, 0, 0),
        ("io_uring_setup", 425, 1, 0, 0),
        ("mount", 165, 0, 0, 0),
        ("setns", 308, 0, 0, 0),
        ("ioctl TIOCSTI", 16, 0, 0x5412, 0),
        ("init_module", 175, 0, 0, 0),
    ],
    ids=lambda call: call[0],
)
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="call numbers of x86_64")
def test_it_cannot_make_dangerous_calls(cell: Cell, call: tuple[str, int, int, int, int]) -> None:
    """Keyrings, BPF, io_uring and their like answer EPERM or ENOSYS, whatever the arguments."""
    number, *words = call[1:]
    code = (
        "import ctypes; libc = ctypes.CDLL(None, use_errno=True); "
        f"print(libc.syscall(*[ctypes.c_long(x) for x in {[number, *words]}]), ctypes.get_errno())"
    )
    assert cell.py(code).text in {"-1 1\n", "-1 38\n"}


@needs_bubblewrap
def test_it_cannot_see_or_signal_processes_outside(cell: Cell) -> None:
    """Its pid namespace holds its own processes only; our pid means nothing in there."""
    ran = cell.sh(f"ls /proc | grep -c '^[0-9]' ; kill -9 {os.getpid()}; kill -9 -1; echo survived")
    assert int(ran.text.split()[0]) < 8


@needs_bubblewrap
def test_holding_its_first_process_only_wastes_its_own_time(cell: Cell) -> None:
    """Who stops bubblewrap's process inside is ended at its time, with everything."""
    ran = cell.py("import ctypes, time; ctypes.CDLL(None).ptrace(16, 1, 0, 0); time.sleep(0.2)", seconds=2)
    assert ran.seconds < 30


@needs_bubblewrap
def test_a_link_in_place_of_a_mount_point_leads_nothing_astray(tmp_path: Path) -> None:
    """A home below /tmp has its mount points in the run's own /tmp: a command's links there are cleared."""
    root = Path(tempfile.mkdtemp(dir="/tmp"))  # the very case
    try:
        cell = Cell(root)
        first = root.parts[2]
        (cell.tmp / first).symlink_to(tmp_path)
        ran = cell.sh("pwd; echo x > made; ls -a")
        assert ran.status == 0, ran.text
        assert (cell.tree / "made").exists()
        assert list(tmp_path.iterdir()) == []
        moved = cell.sh(f"mv /tmp/{first} /tmp/other || rmdir /tmp/{first} || ln -s / /tmp/{first}/x")
        assert moved.status != 0
        (cell.tmp / first).rmdir()
        (cell.tmp / first).write_text("a file")
        assert cell.sh("cat made").text == "x\n"
    finally:
        shutil.rmtree(root)


@needs_bubblewrap
def test_it_has_no_rights_and_gains_none(cell: Cell) -> None:
    """No capability, no-new-privileges, not root; set-uid programs do not help."""
    ran = cell.sh(
        "grep -E 'Cap(Inh|Prm|Eff|Bnd|Amb)|NoNewPrivs|^Seccomp:' /proc/self/status; id -u; su -c id"
    )
    lines = ran.text.splitlines()
    assert [line.split()[1] for line in lines[:5]] == ["0" * 16] * 5
    assert lines[5].split()[1] == "1"
    assert lines[6].split()[1] == "2"
    assert lines[7] == "1000"
    assert "uid=0" not in ran.text


@needs_bubblewrap
def test_it_cannot_leave_a_set_uid_program_or_a_device(cell: Cell) -> None:
    """A device cannot be made, and what it leaves belongs to nobody but us."""
    ran = cell.sh("mknod null c 1 3; mknod /tmp/disk b 254 0; cp /bin/sh s; chmod 4755 s; ./s -c 'id -u'")
    assert ran.text.endswith("1000\n")
    assert not (cell.tree / "null").exists()
    assert not (cell.tmp / "disk").exists()


@needs_bubblewrap
def test_children_with_sessions_of_their_own_end_with_the_command(cell: Cell) -> None:
    """Daemons, orphans and those that ignore signals are gone when the command returns."""
    cell.sh(
        f"setsid sleep {nap(5151)} & (trap '' TERM HUP INT; setsid setsid sleep {nap(5152)} &) ; sleep 0.2"
    )
    assert not running("sleep", nap(5151))
    assert not running("sleep", nap(5152))


@needs_bubblewrap
def test_a_command_that_never_ends_is_ended_with_all_it_started(cell: Cell) -> None:
    """The time limit holds against processes that ignore signals."""
    ran = cell.sh(f"trap '' TERM; setsid sleep {nap(5253)} & while :; do sleep {nap(5254)}; done", seconds=1)
    assert ran.status is None
    assert ran.timed_out
    assert ran.seconds < 30
    assert not running("sleep", nap(5253))
    assert not running("sleep", nap(5254))


@needs_bubblewrap
def test_a_fork_bomb_ends_with_its_time(cell: Cell) -> None:
    """However many there are, the kernel ends them with their namespace."""
    code = "import os, time\nfor _ in range(7): os.fork()\ntime.sleep(6000)"
    ran = cell.py(code, seconds=3)
    assert ran.timed_out
    assert not running(sys.executable, "-I", "-c", code)


@needs_bubblewrap
def test_an_interrupt_ends_the_command_in_hand(cell: Cell) -> None:
    """A descriptor that becomes readable ends it, without a timeout."""
    fd = os.eventfd(0)
    threading.Timer(0.3, os.eventfd_write, (fd, 1)).start()
    ran = cell.sandbox(interrupt=fd).run(["sleep", nap(5355)], cwd=cell.tree, timeout_seconds=30)
    os.close(fd)
    assert (ran.status, ran.timed_out) == (None, False)
    assert ran.seconds < 25
    assert not running("sleep", nap(5355))


HARNESS = """
import sys
from pathlib import Path
from agentloop.domain.settings import Worker
from agentloop.worker.sandbox import sandbox_for
tree = Path(sys.argv[1])
box = sandbox_for(Worker(sandbox=sys.argv[2]), writable=(tree,), mark=str(tree))
box.run(["true"], cwd=tree, timeout_seconds=9)
print("ready", flush=True)
while True:
    box.run(["sh", "-c", "setsid sleep " + sys.argv[3] + " & sleep 0.003"], cwd=tree, timeout_seconds=60)
"""


@pytest.mark.parametrize("kind", ["none", pytest.param("bubblewrap", marks=needs_bubblewrap)])
def test_nothing_outlives_a_harness_whenever_it_is_killed(cell: Cell, kind: str) -> None:
    """SIGKILL at any moment, also while a sandbox is being set up, leaves nothing running."""
    path = os.pathsep.join(path for path in sys.path if path)
    for tried in range(10):
        tree = cell.tree / str(tried)
        tree.mkdir()
        with subprocess.Popen(
            [sys.executable, "-c", HARNESS, str(tree), kind, nap(5456)],
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
        ) as harness:
            assert harness.stdout is not None
            assert harness.stdout.readline() == b"ready\n"
            time.sleep(tried * 0.003)
            harness.kill()
        wait_until(lambda tree=tree: not marked(tree))  # type: ignore[misc]
    wait_until(lambda: not running("sleep", nap(5456)))


@needs_bubblewrap
def test_output_is_bounded_and_keeps_both_ends(cell: Cell) -> None:
    """A flood costs bounded memory; head and tail are kept with a line about the gap."""
    ran = cell.sandbox().run(
        ["/bin/sh", "-c", "echo first; yes | head -c 100000000; echo last >&2"],
        cwd=cell.tree,
        timeout_seconds=60,
        output_limit=1000,
    )
    assert ran.status == 0
    assert len(ran.output) < 1100
    assert ran.text.startswith("first\ny\n")
    assert ran.text.endswith("y\nlast\n")
    assert "bytes left out" in ran.text


@needs_bubblewrap
def test_statuses_come_through(cell: Cell) -> None:
    """Exit codes as they are, signals as a shell tells them, input as given."""
    assert cell.sh("exit 7").status == 7
    assert cell.sh("kill -9 $$").status == 137
    ran = cell.sandbox().run(
        ["cat"], cwd=cell.tree, timeout_seconds=5, input=b"x" * 1_000_000, output_limit=2_000_000
    )
    assert ran.output == b"x" * 1_000_000


@needs_bubblewrap
def test_a_command_cannot_fill_the_disk_with_one_file(cell: Cell) -> None:
    """A file beyond the bound is refused by the kernel."""
    assert cell.sh(f"truncate -s {sandboxes.FILE_BYTES + 1} big").status != 0


@needs_bubblewrap
def test_extra_paths_are_read_only_and_never_show_the_runtime_folder(cell: Cell) -> None:
    """A path from `worker.read` can be read, not written, and hides what must stay hidden within it."""
    sandbox = sandbox_for(
        Worker(read=(str(cell.home),)),
        writable=(cell.tree,),
        readable=(cell.objects,),
        hidden=(cell.home / ".agentloop",),
    )
    ran = sandbox.run(
        [
            "/bin/sh",
            "-c",
            f"cd {cell.home}; cat agentloop.toml {cell.attempt}/spec.json {cell.objects}/lent; echo x > y",
        ],
        cwd=cell.tree,
        timeout_seconds=10,
    )
    assert ran.text.count(CANARY) == 1
    assert "lent" in ran.text
    assert "Read-only" in ran.text


@needs_bubblewrap
def test_the_self_test_proves_the_sandbox_and_fails_closed(cell: Cell) -> None:
    """It passes where all holds, and refuses when something secret is in sight."""
    cell.sandbox().check(secrets=(cell.home / ".ssh",))
    with pytest.raises(UnsafeError, match="can be seen"):
        cell.sandbox().check(secrets=(cell.tree,))


def test_without_bubblewrap_nothing_starts_and_the_fix_is_named(
    cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No bwrap on the PATH: refused, naming the package and the setting that opens it."""
    monkeypatch.setenv("PATH", str(cell.home))
    with pytest.raises(UnsafeError) as caught:
        cell.sandbox().check()
    assert "apt-get install bubblewrap" in caught.value.fix
    assert 'sandbox = "none"' in caught.value.fix


def test_a_bubblewrap_that_cannot_make_namespaces_fails_closed(
    cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where user namespaces are forbidden the self-test says so, with the setting of the kernel."""
    fake = cell.home / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{cell.home}:/usr/bin:/bin")
    with pytest.raises(UnsafeError) as caught:
        cell.sandbox().check()
    assert "uid map" in caught.value.what
    assert "unprivileged_userns" in caught.value.fix


def test_a_bubblewrap_that_pretends_fails_closed(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `bwrap` that runs the command in the open does not pass for one."""
    fake = cell.home / "bwrap"
    fake.write_text('#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done; shift; exec "$@"\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{cell.home}:/usr/bin:/bin")
    with pytest.raises(UnsafeError):
        cell.sandbox().check()


def test_without_a_sandbox_the_environment_is_still_clean(
    cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`sandbox = "none"`: our variables do not reach the command, and descendants end with it."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", CANARY)
    ran = cell.sandbox("none").run(
        ["/bin/sh", "-c", f"env; setsid sleep {nap(5557)} & exit 3"], cwd=cell.tree, timeout_seconds=10
    )
    assert ran.status == 3
    assert CANARY not in ran.text
    assert not running("sleep", nap(5557))


def test_both_sides_know_the_mark_by_one_name() -> None:
    """The executor finds leftovers by the variable that the sandbox sets."""
    assert sandboxes.MARK == executor.MARK


@needs_bubblewrap
@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root to become another user"
)
def test_it_works_for_an_ordinary_user(tmp_path: Path) -> None:
    """Without root it holds as well: the self-test passes, the work can be done, processes are bounded."""
    root = Path("/tmp") / f"agentloop-probe-{os.getpid()}"  # noqa: S108 -- pytest's own folders are root's
    (root / "tree").mkdir(parents=True)
    code = (
        "import sys; from pathlib import Path; from agentloop.domain.settings import Worker\n"
        "from agentloop.worker.sandbox import sandbox_for\n"
        "tree = Path(sys.argv[1])\n"
        "box = sandbox_for(Worker(path='/usr/bin:/bin'), writable=(tree,))\n"
        "box.check()\n"
        "ran = box.run(['sh', '-c', 'echo x > made && id -u && cat made'], cwd=tree, timeout_seconds=10)\n"
        "print(ran.status, ran.text)"
    )
    try:
        for path in (root, root / "tree"):
            os.chown(path, 65534, 65534)
        ran = subprocess.run(
            [
                "setpriv",
                "--reuid=65534",
                "--regid=65534",
                "--clear-groups",
                "/usr/bin/python3",
                "-c",
                code,
                str(root / "tree"),
            ],
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(sandboxes.__file__).parents[2])},
            capture_output=True,
            text=True,
            check=False,
        )
        if "Permission denied: '/" in ran.stderr or "No module named" in ran.stderr:
            pytest.skip(f"another user cannot read this checkout: {tmp_path}")
        assert ran.stdout == "0 1000\nx\n\n", ran.stderr
    finally:
        shutil.rmtree(root)


def nap(number: int) -> str:
    """Seconds that outlast every test, and are this test run's own."""
    return f"{number}.{os.getpid()}"


def running(*words: str) -> bool:
    """Whether a process with this command line runs."""
    wanted = b"\0".join(word.encode() for word in words) + b"\0"
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes() == wanted:
                return True
        except OSError:
            continue
    return False


def marked(folder: Path) -> bool:
    """Whether a process of the run in `folder` is there, its lifeline apart."""
    return any(True for _ in executor.marked(folder))


def wait_until(sign: Callable[[], bool], seconds: float = 90) -> None:
    """Wait until `sign` holds."""
    until = time.monotonic() + seconds
    while not sign():
        assert time.monotonic() < until
        time.sleep(0.02)
