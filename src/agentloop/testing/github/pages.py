"""Threads as a person sees them: plain pages at a phone's width, GitHub's kind of Markdown rendered.

What the site itself looks like is not copied; what is checked on these pages is whether a thread reads well.
"""

from __future__ import annotations

import html
import re
from typing import Final

from agentloop.testing.github.hub import Hub
from agentloop.testing.github.values import Comment, Repository, Thread

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
</style>"""


def page(hub: Hub, path: str) -> bytes:
    """Return the page at `path`: a thread, a repository's list of them, or the list of repositories."""
    parts = path.strip("/").split("/")
    repository = hub.repositories.get("/".join(parts[:2]))
    if repository is None:
        links = (f'<li><a href="/{each}">{each}</a>' for each in hub.repositories)
        return _page("repositories", f"<ul>{''.join(links)}</ul>")
    number = parts[-1] if parts[2:] else ""
    thread = repository.threads.get(int(number)) if number.isdigit() else None
    return (
        _page(repository.path, _list(repository)) if thread is None else _page(thread.title, _thread(thread))
    )


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


def _thread(thread: Thread) -> str:
    pull = thread.pull
    kind = (
        f"pull request, {pull.branch} into {pull.base}{', draft' if pull.draft else ''}" if pull else "issue"
    )
    first = _said(thread.author.login, "opened", thread.body)
    return (
        f"<p>#{thread.number} · {thread.state} · {html.escape(kind)} {_labels(thread)}</p>{first}"
        + "".join(words for _, words in sorted(_events(thread)))
    )


def _events(thread: Thread) -> list[tuple[int, str]]:
    found = [(each.id, _comment(each)) for each in thread.comments]
    if thread.pull:
        found += [
            (each.id, _said(each.author.login, each.verdict.lower(), each.body))
            for each in thread.pull.reviews
        ]
        found += [
            (each.id, _said(each.author.login, f"on {each.path}:{each.line}", each.body))
            for each in thread.pull.comments
        ]
    return found


def _comment(comment: Comment) -> str:
    given = " ".join(sorted({each.content for each in comment.reactions}))
    return _said(comment.author.login, f"commented {given}", comment.body)


def _said(who: str, how: str, body: str) -> str:
    head = f"<header><b>{html.escape(who)}</b> {html.escape(how)}</header>"
    return f"<article>{head}<div>{rendered(body)}</div></article>"


def rendered(body: str) -> str:
    """Return Markdown as HTML: its comments gone, boxes for tasks, folds kept, other HTML escaped."""
    from markdown_it import MarkdownIt

    without = re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL)
    text: str = MarkdownIt("gfm-like", {"linkify": False, "html": False}).disable("linkify").render(without)
    for tag in ("details", "summary", "sub", "kbd"):
        text = re.sub(rf"&lt;(/?){tag}( open)?&gt;", rf"<\1{tag}\2>", text)
    for mark, checked in (("[ ]", ""), ("[x]", " checked")):
        text = text.replace(f"<li>{mark} ", f'<li><input type="checkbox"{checked} disabled> ')
    return text
