"""A system call filter for the sandbox, as a classic BPF program made by hand (seccomp(2), linux/filter.h).

What namespaces do not hold: kernel keyrings (the person's own keys are reachable through an inherited session
keyring), sockets of families that know no network namespace (vsock reaches the hypervisor), io_uring (which
opens sockets past a filter), and calls that no build or test needs but that kernels have had holes in.
"""

from __future__ import annotations

import platform
import struct

_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_EPERM, _ENOSYS, _EAFNOSUPPORT = 1, 38, 97
_NUMBER, _ARCH, _FIRST, _SECOND = 0, 4, 16, 24
"""Offsets in struct seccomp_data; of an argument the low 32 bits, which come first on both machines."""

_X32 = 0x40000000
_FAMILIES = (1, 2, 10, 16)
"""AF_UNIX, AF_INET, AF_INET6, AF_NETLINK: all of them bound to the network namespace."""
_TERMINAL_INPUT = (0x5412, 0x541C)
"""TIOCSTI and TIOCLINUX put characters into a terminal's input."""

# Numbers from asm/unistd_64.h and asm-generic/unistd.h; those from 424 on are the same everywhere.
_BOTH = (428, 429, 430, 431, 432, 433, 442)  # open_tree, move_mount, fsopen … fspick, mount_setattr
_RINGS = (425, 426, 427)
# By machine: AUDIT_ARCH, the numbers of socket and ioctl, and what is denied.
_MACHINES: dict[str, tuple[int, int, int, dict[str, int]]] = {
    "x86_64": (0xC000003E, 41, 16, {
        "add_key": 248, "request_key": 249, "keyctl": 250, "bpf": 321, "perf_event_open": 298,
        "userfaultfd": 323, "kexec_load": 246, "kexec_file_load": 320, "init_module": 175,
        "finit_module": 313, "delete_module": 176, "mount": 165, "umount2": 166, "pivot_root": 155,
        "setns": 308,
        "open_by_handle_at": 304, "acct": 163, "swapon": 167, "swapoff": 168, "reboot": 169, "syslog": 103,
        "quotactl": 179, "iopl": 172, "ioperm": 173,
    }),
    "aarch64": (0xC00000B7, 198, 29, {
        "add_key": 217, "request_key": 218, "keyctl": 219, "bpf": 280, "perf_event_open": 241,
        "userfaultfd": 282, "kexec_load": 104, "kexec_file_load": 294, "init_module": 105,
        "finit_module": 273, "delete_module": 106, "mount": 40, "umount2": 39, "pivot_root": 41, "setns": 268,
        "open_by_handle_at": 265, "acct": 89, "swapon": 224, "swapoff": 225, "reboot": 142, "syslog": 116,
        "quotactl": 60,
    }),
}  # fmt: skip


def program() -> bytes | None:
    """Return the filter for this machine, or None on a machine whose call numbers are not known here."""
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        return None
    arch, socket, ioctl, denied = machine
    lines = [
        _line(_LOAD, _ARCH),
        _line(_EQUAL, arch, yes=1),
        _refuse(_ENOSYS),
        _line(_LOAD, _NUMBER),
        *_when(_AT_LEAST, _X32, _refuse(_ENOSYS)),
        *(line for number in _RINGS for line in _when(_EQUAL, number, _refuse(_ENOSYS))),
        *(line for number in (*denied.values(), *_BOTH) for line in _when(_EQUAL, number, _refuse(_EPERM))),
        *_only_for(socket, _sockets()),
        *_only_for(ioctl, _terminals()),
        _line(_RETURN, _ALLOW),
    ]
    return b"".join(lines)


def _line(code: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("=HBBI", code, yes, no, value)


def _refuse(errno: int) -> bytes:
    return _line(_RETURN, _ERRNO | errno)


def _when(test: int, value: int, then: bytes) -> tuple[bytes, bytes]:
    return _line(test, value, no=1), then


def _only_for(number: int, lines: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """`lines` (which all return) when the call is `number`; the call's number is loaded before and after."""
    return (_line(_EQUAL, number, no=len(lines)), *lines)


def _sockets() -> tuple[bytes, ...]:
    allowed = tuple(line for family in _FAMILIES for line in _when(_EQUAL, family, _line(_RETURN, _ALLOW)))
    return (_line(_LOAD, _FIRST), *allowed, _refuse(_EAFNOSUPPORT))


def _terminals() -> tuple[bytes, ...]:
    denied = tuple(line for call in _TERMINAL_INPUT for line in _when(_EQUAL, call, _refuse(_EPERM)))
    return (_line(_LOAD, _SECOND), *denied, _line(_RETURN, _ALLOW))
