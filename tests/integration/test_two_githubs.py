"""One home with targets on two GitHubs: each is asked with its own token, and believed for itself."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from agentloop import asking
from agentloop.domain.valueclass import replace
from agentloop.edges.github.connecting import login_of, site_of
from agentloop.edges.github.tracker import GitHubTracker
from tests.contract.on_github import BOT, TOKEN, OnGitHub

if TYPE_CHECKING:
    from pathlib import Path

ELSEWHERE = TOKEN[::-1]


def test_two_hosts_with_repositories_of_one_name_are_told_apart(tmp_path: Path) -> None:
    """Neither is shown the other's token, and neither's issues are taken for the other's."""
    with ExitStack() as stack:
        here, there = OnGitHub(tmp_path / "here", stack), OnGitHub(tmp_path / "there", stack)
        del there.hub.tokens[TOKEN]
        there.hub.token(BOT, ELSEWHERE)
        word = tmp_path / "token-of-there"
        word.write_text(ELSEWHERE, encoding="utf-8")
        word.chmod(0o600)
        (first,), (second,) = here.settings.targets, there.settings.targets
        second = replace(second, name="ghe", token_file=str(word))
        settings = replace(here.settings, targets=(first, second))
        for ground, title in ((here, "Here"), (there, "There")):
            ground.hub.open_issue(ground.repository, ground.person("alice"), title, "")
        shown = []
        for target in settings.targets:
            site = site_of(here.home, settings, target)
            stack.callback(site.close)
            shown += [(one.id, one.title) for one in GitHubTracker(site).observe(frozenset())]
        assert shown == [("web-1", "Here"), ("ghe-1", "There")]
        logins = [login_of(settings, target) for target in settings.targets]
        assert [one.secret() for one in logins if one] == [TOKEN, ELSEWHERE]
        assert set(asking.keys(settings)) >= {TOKEN, ELSEWHERE}
