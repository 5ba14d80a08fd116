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
_MACHINES: dict[str, tuple[int, int, int, tuple[int, ...]]] = {
    # machine: (AUDIT_ARCH, socket, ioctl, denied: add_key request_key keyctl bpf perf_event_open userfaultfd
    # kexec_load kexec_file_load init_module finit_module delete_module mount umount2 pivot_root setns
    # open_by_handle_at acct swapon swapoff reboot syslog quotactl)
    "x86_64": (
        0xC000003E,
        41,
        16,
        (
            *range(248, 251),
            321,
            298,
            323,
            246,
            320,
            175,
            313,
            176,
            165,
            166,
            155,
            308,
            304,
            163,
            167,
            168,
            169,
            103,
        )
        # quotactl, and iopl and ioperm, which exist here only
        + (179, 172, 173),
    ),
    "aarch64": (
        0xC00000B7,
        198,
        29,
        (217, 218, 219, 280, 241, 282, 104, 294, 105, 273, 106, 40, 39, 41, 268, 265, 89, 224, 225, 142)
        + (116, 60),
    ),
}


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
        *(line for number in denied + _BOTH for line in _when(_EQUAL, number, _refuse(_EPERM))),
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
