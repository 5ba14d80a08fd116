"""What may not be the name of a file in a change: names that mean something else elsewhere, or to git.

The rules for what git must never take for `.git` are git's own (verify_path() in read-cache.c,
is_hfs_dotgit() in utf8.c, is_ntfs_dotgit() in path.c), made stricter: a new file has no need of any such
name.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

PATH_BYTES: Final = 1024
NAME_BYTES: Final = 255
DEPTH: Final = 64

_IGNORED_BY_HFS: Final = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
_TURNS_TEXT: Final = re.compile("[\u202a-\u202e\u2066-\u2069]")
_GIT_FILES: Final = (".gitmodules", ".gitattributes", ".gitignore", ".mailmap")
# What Windows calls them where names are short: first letters, "~", a number (path.c, is_ntfs_dot_str()).
_SHORT_NAMES: Final = re.compile(r"(?:git|gitmod|gitatt|gitign|mailma|gi7d29|gi7eba|gi250a|maba30)~\d+")


def objection(path: bytes) -> str | None:
    """Return why no change may make a file at `path`, or None when it may."""
    if len(path) > PATH_BYTES:
        return f"longer than {PATH_BYTES} bytes"
    try:
        text = path.decode("utf-8")
    except UnicodeDecodeError:
        return "not UTF-8"
    names = text.split("/")
    if len(names) > DEPTH:
        return f"deeper than {DEPTH} folders"
    return next((why for name in names if (why := _objection_to_name(name)) is not None), None)


def _objection_to_name(name: str) -> str | None:
    if name in ("", ".", ".."):
        return "leads out of its place (empty, '.' or '..' component, or absolute)"
    if any(unicodedata.category(sign) == "Cc" for sign in name) or _TURNS_TEXT.search(name):
        return "has control characters"
    if "\\" in name:
        return "has a backslash, which separates folders elsewhere"
    if len(name.encode()) > NAME_BYTES:
        return f"has a component longer than {NAME_BYTES} bytes"
    return _objection_to_alias(name)


def _objection_to_alias(name: str) -> str | None:
    seen = _as_others_see_it(name)
    if seen == ".git" or _SHORT_NAMES.fullmatch(seen):
        return "is another name for '.git' or a file of git's"
    if seen in _GIT_FILES and name != seen:
        return f"is another name for '{seen}'"
    if name.endswith((".", " ")):
        return "ends in a dot or a space, which some file systems drop"
    return None


def _as_others_see_it(name: str) -> str:
    """The name as HFS+ (ignorable characters, normal form), NTFS (streams, ends) and case folding make it."""
    folded = unicodedata.normalize("NFKC", _IGNORED_BY_HFS.sub("", name)).casefold()
    return folded.split(":", 1)[0].rstrip(". ")


def collisions(names: Iterable[str]) -> frozenset[frozenset[str]]:
    """Return the sets of different paths that are one and the same where case or Unicode form does not count.

    `names` holds files and folders alike.
    """
    spelled: dict[str, set[str]] = {}
    for name in names:
        spelled.setdefault(unicodedata.normalize("NFC", name).casefold(), set()).add(name)
    return frozenset(frozenset(each) for each in spelled.values() if len(each) > 1)
