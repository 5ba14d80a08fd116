"""What a person does on the pages of a simulated GitHub: plain forms, no script, as one of its accounts.

File an issue, comment, react, tick a box, set a label, review, merge, close: all that somebody does who only
ever touches GitHub. Who is asked for nothing here: the pages are on loopback, and anybody may be anybody.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from html import escape
from typing import Final, TypeAlias

from agentloop.testing.github import gitside
from agentloop.testing.github.hub import Hub
from agentloop.testing.github.refusals import Refused
from agentloop.testing.github.values import (
    REACTIONS,
    Account,
    Comment,
    Repository,
    ReviewComment,
    Thread,
    Verdict,
)

STRANGER: Final = "stranger"
"""Somebody from outside, whose words count for nothing."""
_BOX: Final = re.compile(r"^(\s*[-*] \[)([ xX])(\] )(.*)$", re.MULTILINE)
FACES: Final = dict(zip(REACTIONS, ("👍", "👎", "😄", "😕", "❤️", "🎉", "🚀", "👀"), strict=True))
_VERDICTS: Final[dict[str, Verdict]] = {
    "approve": "APPROVED",
    "request changes": "CHANGES_REQUESTED",
    "comment": "COMMENTED",
}

Form: TypeAlias = Mapping[str, str]


def carry_out(hub: Hub, path: str, form: Form) -> str:
    """Do what a form at `path` says and return the path to show next. Raises Refused."""
    owner, name, *rest = path.strip("/").split("/")
    repository = hub.repositories.get(f"{owner}/{name}")
    if repository is None:
        raise Refused(404, "Not Found")
    who = hub.account(form.get("as", "") or owner)
    if not rest[1:]:
        made = hub.open_issue(repository, who, form.get("title", ""), _plain(form.get("body", "")))
        return f"/{repository.path}/issues/{made.number}"
    thread = hub.find(repository, int(rest[1]))
    deed = _DEEDS.get(form.get("do", ""))
    if deed is None:
        raise Refused(422, "nothing of that name can be done here")
    deed(hub, repository, who, thread, form)
    return path


def _comment(hub: Hub, repository: Repository, who: Account, thread: Thread, form: Form) -> None:
    hub.comment(repository, who, thread, _plain(form.get("body", "")))


def _react(hub: Hub, repository: Repository, who: Account, thread: Thread, form: Form) -> None:
    del repository
    hub.react(who, _there(thread, form), form.get("with", ""))


def _tick(hub: Hub, repository: Repository, who: Account, thread: Thread, form: Form) -> None:
    there, at = _there(thread, form), int(form.get("box", "0"))
    boxes = list(_BOX.finditer(there.body))
    if at >= len(boxes):
        raise Refused(422, "that box is gone")
    start, end = boxes[at].span(2)
    body = f"{there.body[:start]}{' ' if there.body[start:end].strip() else 'x'}{there.body[end:]}"
    if isinstance(there, Thread):
        hub.edit_thread(repository, who, there, title=None, body=body)
    else:
        hub.edit_comment(repository, who, thread, there, body)


def _label(hub: Hub, repository: Repository, who: Account, thread: Thread, form: Form) -> None:
    name = form.get("label", "").strip()
    if not hub.can(repository, who, "triage"):
        raise Refused(403, "Must have triage rights to set labels")
    if name in thread.labels:
        hub.remove_label(repository, who, thread, name)
    elif name:
        hub.add_labels(repository, who, thread, (name,))


def _review(hub: Hub, repository: Repository, who: Account, thread: Thread, form: Form) -> None:
    path, words = form.get("path", "").strip(), _plain(form.get("body", ""))
    if path:
        line = int(form.get("line", "") or 1)
        hub.review_comment(repository, who, thread, words, path=path, line=line)
    else:
        hub.review(repository, who, thread, _VERDICTS.get(form.get("verdict", ""), "COMMENTED"), words)


def _merge(hub: Hub, repository: Repository, who: Account, thread: Thread, form: Form) -> None:
    del form
    hub.merge(repository, who, thread)


def _ready(hub: Hub, repository: Repository, who: Account, thread: Thread, form: Form) -> None:
    del form
    hub.set_draft(repository, who, thread, draft=False)


def _close(hub: Hub, repository: Repository, who: Account, thread: Thread, form: Form) -> None:
    del form
    change = hub.close if thread.state == "open" else hub.reopen
    change(repository, who, thread)


_DEEDS: Final[dict[str, Callable[[Hub, Repository, Account, Thread, Form], None]]] = {
    "comment": _comment,
    "react": _react,
    "tick": _tick,
    "label": _label,
    "review": _review,
    "merge": _merge,
    "ready": _ready,
    "close": _close,
}


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").strip()


def _there(thread: Thread, form: Form) -> Thread | Comment:
    wanted = int(form.get("on", "") or 0)
    said: list[Comment | ReviewComment] = [*thread.comments, *(thread.pull.comments if thread.pull else ())]
    found = next((one for one in said if one.id == wanted), None)
    if wanted and found is None:
        raise Refused(404, "Not Found")
    return found or thread


# The forms.


def for_list(repository: Repository) -> str:
    """Return the form that files an issue."""
    return _folded(
        "New issue",
        _form(
            f"/{repository.path}/issues",
            f'{_as(repository)}<input name="title" placeholder="Title" required>'
            '<textarea name="body" rows="5" placeholder="In your own words"></textarea>'
            "<button>File it</button>",
        ),
    )


def for_thread(repository: Repository, thread: Thread) -> str:
    """Return the forms below a thread."""
    kind = "pull" if thread.pull else "issues"
    to = f"/{repository.path}/{kind}/{thread.number}"
    whose = _as(repository)
    parts = [
        _form(
            to, f'{whose}<textarea name="body" rows="3" required></textarea>{_button("comment", "Comment")}'
        ),
        _form(to, f'{whose}<input name="label" placeholder="a label">{_button("label", "Set or take off")}'),
        _form(to, f"{whose}{_button('close', 'Close' if thread.state == 'open' else 'Reopen')}"),
    ]
    if thread.pull and thread.state == "open":
        parts[1:1] = _for_pull(to, whose, draft=thread.pull.draft)
    return "".join(parts)


def for_words(hub: Hub, repository: Repository, thread: Thread, there: Thread | Comment) -> str:
    """Return what can be done to words: the boxes to tick, the reactions to leave."""
    to = f"/{repository.path}/{'pull' if thread.pull else 'issues'}/{thread.number}"
    on = f'<input type="hidden" name="on" value="{0 if there is thread else there.id}">'
    as_owner = f'<input type="hidden" name="as" value="{escape(repository.owner.login)}">'
    boxes = [
        f'<button name="box" value="{at}">{"☑" if box[2].strip() else "☐"} {escape(_bare(box[4]))}</button>'
        for at, box in enumerate(_BOX.finditer(there.body))
    ]
    given = {one.content for one in there.reactions if hub.can(repository, one.account, "read")}
    faces = [
        f'<button name="with" value="{name}"{" class=given" if name in given else ""}>{face}</button>'
        for name, face in FACES.items()
    ]
    tick = _form(to, f'{on}{as_owner}<input type="hidden" name="do" value="tick">{"".join(boxes)}')
    react = _form(to, f'{on}{as_owner}<input type="hidden" name="do" value="react">{"".join(faces)}')
    return _folded("☺", react + (tick if boxes else ""))


def difference(repository: Repository, thread: Thread) -> str:
    """Return what a pull request changes, folded; "" for an issue."""
    if thread.pull is None:
        return ""
    text = gitside.difference(repository.folder, thread.pull.head, thread.pull.base_commit)
    return _folded("Files changed", f"<pre>{escape(text)}</pre>")


def _for_pull(to: str, whose: str, *, draft: bool) -> list[str]:
    verdicts = "".join(f"<option>{name}</option>" for name in _VERDICTS)
    review = (
        f'{whose}<select name="verdict">{verdicts}</select><textarea name="body" rows="3"></textarea>'
        '<input name="path" placeholder="a file, for words on a line"><input name="line" placeholder="line">'
        f"{_button('review', 'Review')}"
    )
    merge = _button("ready", "Ready for review") if draft else _button("merge", "Merge")
    return [_form(to, review), _form(to, whose + merge)]


def _as(repository: Repository) -> str:
    people = [repository.owner.login, *repository.roles, STRANGER]
    options = "".join(f"<option>{escape(login)}</option>" for login in dict.fromkeys(people))
    return f'<select name="as" aria-label="as">{options}</select>'


def _form(to: str, inside: str) -> str:
    return f'<form method="post" action="{escape(to)}">{inside}</form>'


def _button(deed: str, words: str) -> str:
    return f'<button name="do" value="{deed}">{words}</button>'


def _folded(title: str, inside: str) -> str:
    return f"<details><summary>{title}</summary>{inside}</details>"


def _bare(markdown: str) -> str:
    return re.sub(r"[*_`\[\]]|\(https?://[^)]*\)", "", markdown)[:60]
