"""Threads as a person sees them: plain pages at a phone's width, GitHub's kind of Markdown rendered.

What the site itself looks like is not copied; what is checked on these pages is whether a thread reads well.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Final, TypeAlias

from agentloop.testing.github import desk
from agentloop.testing.github.hub import Hub
from agentloop.testing.github.refusals import Refused
from agentloop.testing.github.values import Comment, Reaction, Repository, Thread

_HEAD: Final = """<!doctype html><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><style>
:root { color-scheme: light dark; --line: #8884; --soft: #8882 }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 800px; padding: 12px;
  overflow-wrap: anywhere }
article { border: 1px solid var(--line); border-radius: 8px; margin: 12px 0 }
article > header { background: var(--soft); padding: 6px 12px; font-size: 13px }
article > div { padding: 0 12px } pre { overflow-x: auto; background: var(--soft); padding: 8px }
code { background: var(--soft); font-size: 13px }
table { border-collapse: collapse; display: block; overflow-x: auto }
td, th { border: 1px solid var(--line); padding: 3px 8px }
.label { border: 1px solid var(--line); border-radius: 9px; padding: 0 8px; font-size: 12px }
ul:has(input) { list-style: none; padding-left: 8px }
h1 { font-size: 20px }
form { margin: 10px 0; display: flex; flex-wrap: wrap; gap: 6px } details > form { padding: 0 12px }
article > details > summary { padding: 4px 12px; list-style: none }
input:not([type=checkbox]), textarea, select, button { font: inherit; padding: 6px 10px; border-radius: 6px;
  border: 1px solid var(--line) } textarea { width: 100%; box-sizing: border-box }
.given { background: #58f4 }
</style>"""

_Tools: TypeAlias = Callable[[Thread | Comment], str]


def page(hub: Hub, path: str) -> bytes:
    """Return the page at `path`: a thread, a repository's list of them, or the list of repositories."""
    parts = path.strip("/").split("/")
    repository = hub.repositories.get("/".join(parts[:2]))
    if repository is None:
        links = (f'<li><a href="/{each}">{each}</a>' for each in hub.repositories)
        return _page("repositories", f"<ul>{''.join(links)}</ul>")
    number = parts[-1] if parts[2:] else ""
    thread = repository.threads.get(int(number)) if number.isdigit() else None
    if thread is None:
        return _page(repository.path, desk.for_list(repository) + _list(repository))
    words = _thread(thread, lambda there: desk.for_words(hub, repository, thread, there))
    change = desk.difference(repository, thread)
    return _page(thread.title, words + change + desk.for_thread(repository, thread))


def refused(why: Refused, path: str) -> bytes:
    """Return the page that says why a form was not carried out."""
    told = "; ".join([why.message, *(one["message"] for one in why.errors if one.get("message"))])
    return _page(str(why.status), f'<p>{html.escape(told)}</p><a href="{html.escape(path)}">back</a>')


def _page(title: str, body: str) -> bytes:
    return f"{_HEAD}<title>{html.escape(title)}</title><h1>{html.escape(title)}</h1>{body}".encode()


def _list(repository: Repository) -> str:
    rows = (
        f'<li><a href="/{repository.path}/issues/{each.number}">#{each.number} {html.escape(each.title)}</a>'
        f" · {each.state}{' · pinned' if each.pinned else ''} {_labels(each)}"
        for each in sorted(repository.threads.values(), key=lambda each: (not each.pinned, -each.number))
    )
    return f"<ul>{''.join(rows)}</ul>"


def _labels(thread: Thread) -> str:
    return " ".join(f'<span class="label">{html.escape(name)}</span>' for name in thread.labels)


def _thread(thread: Thread, tools: _Tools) -> str:
    pull = thread.pull
    kind = (
        f"pull request, {pull.branch} into {pull.base}{', draft' if pull.draft else ''}" if pull else "issue"
    )
    first = _said(thread.author.login, f"opened {_signs(thread.reactions)}", thread.body, tools(thread))
    return (
        f"<p>#{thread.number} · {thread.state} · {html.escape(kind)} {_labels(thread)}</p>{first}"
        + "".join(words for _, words in sorted(_events(thread, tools)))
    )


def _events(thread: Thread, tools: _Tools) -> list[tuple[int, str]]:
    found = [
        (each.id, _said(each.author.login, f"commented {_signs(each.reactions)}", each.body, tools(each)))
        for each in thread.comments
    ]
    if thread.pull:
        found += [
            (each.id, _said(each.author.login, each.verdict.lower(), each.body))
            for each in thread.pull.reviews
            if each.body or each.verdict != "COMMENTED"  # the envelope of a comment on a line
        ]
        found += [
            (each.id, _said(each.author.login, f"on {each.path}:{each.line}", each.body, tools(each)))
            for each in thread.pull.comments
        ]
    return found


def _signs(given: list[Reaction]) -> str:
    return " ".join(sorted({desk.FACES[each.content] for each in given}))


def _said(who: str, how: str, body: str, tools: str = "") -> str:
    head = f"<header><b>{html.escape(who)}</b> {html.escape(how)}</header>"
    return f"<article>{head}<div>{rendered(body)}</div>{tools}</article>"


def rendered(body: str) -> str:
    """Return Markdown as HTML: its comments gone, boxes for tasks, folds kept, other HTML escaped."""
    from markdown_it import MarkdownIt

    without = re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL)
    text: str = MarkdownIt("gfm-like", {"linkify": False, "html": False}).disable("linkify").render(without)
    for tag in ("details", "summary", "sub", "kbd"):
        text = re.sub(rf"&lt;(/?){tag}( open)?&gt;", rf"<\1{tag}\2>", text)
    text = re.sub(r"(?<![\w&/#])#(\d+)\b", r'<a href="\1">#\1</a>', text)
    for mark, checked in (("[ ]", ""), ("[x]", " checked")):
        text = text.replace(f"<li>{mark} ", f'<li><input type="checkbox"{checked} disabled> ')
    return text
