"""The relay's rules: what is written can be read back, and no word of a human's is ever lost."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agentloop.domain.relay import (
    CAP_TOKENS,
    FIRST,
    KeyDecision,
    NewDecision,
    Plan,
    Relay,
    RelayDelta,
    apply,
    clean,
    core_tokens,
    fit,
    left_behind,
    lint,
    merge,
    out_of_bounds,
    parse,
    render,
    salvage,
    split,
    stalled,
    stamp_in,
    stamp_of,
    tokens,
    untouched,
)

WORDS = st.text(max_size=60)
MANY = st.lists(WORDS, max_size=4).map(tuple)
DECISIONS = st.lists(
    st.builds(
        KeyDecision, what=WORDS, why=WORDS, off_limits=MANY, cycle=st.none() | st.integers(0, 999_999_999)
    ),
    max_size=3,
).map(tuple)
PLANS = st.builds(
    Plan,
    phase=WORDS,
    done=MANY,
    decisions=DECISIONS,
    active=MANY,
    next_action=WORDS,
    questions=MANY,
    done_means=MANY,
)
FACTS = st.lists(st.tuples(WORDS, st.none() | WORDS), max_size=4).map(tuple)
# What a person's editor may leave: any text, and bytes that are no UTF-8 as lone surrogates.
TYPED = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from("\r\0\udc80\udcff#->_"), max_size=30
)
HUMAN = st.lists(TYPED | st.sampled_from(["", "- do this", "## Next action", "## From you"]), max_size=6).map(
    "\n".join
)
RELAYS = st.builds(Relay, version=st.integers(1, 99_999), human=HUMAN, facts=FACTS, plan=PLANS).map(clean)


def keys(text: str) -> list[str]:
    """The words of each line, white space at its end aside."""
    return [key for line in text.split("\n") if (key := line.rstrip(" \t\r").removeprefix("\ufeff"))]


@st.composite
def edited(draw: st.DrawFn) -> tuple[str, str, list[str]]:
    """A relay's text, that text with lines put in and taken out anywhere, and the lines put in."""
    base = render(draw(RELAYS))
    lines = base.split("\n")
    added: list[str] = []
    for at in draw(st.lists(st.integers(0, len(lines) - 1), max_size=4)):
        del lines[min(at, len(lines) - 1)]
    for text, at in draw(st.lists(st.tuples(TYPED, st.integers(0, len(lines))), max_size=4)):
        line = text.replace("\n", " ") if text else base.split("\n")[at % (base.count("\n") + 1)]
        lines.insert(at, line)
        added.append(line)
    end = draw(st.sampled_from(["\n", "\r\n"]))
    return base, end.join(lines), added


@given(relay=RELAYS)
def test_what_is_rendered_is_parsed_back(relay: Relay) -> None:
    """Round trip: every clean relay, with any text of a human's, comes back as the same value."""
    assert parse(render(relay)) == relay
    assert untouched(render(relay))


@given(relay=RELAYS)
def test_cleaning_twice_changes_nothing(relay: Relay) -> None:
    """Cleaning is a projection: what is clean stays as it is."""
    assert clean(relay) == relay


@settings(max_examples=120)
@given(case=edited(), ours=RELAYS)
def test_every_line_a_human_added_survives(case: tuple[str, str, list[str]], ours: Relay) -> None:
    """Whatever lines a human adds, wherever, stand in the human's section or in the core's own words."""
    base, theirs, added = case
    merged = merge(base, ours, theirs)
    kept = keys(merged.relay.human)
    counted = keys(base)
    for line in added:
        (key,) = keys(line) or [""]
        assert not key or key in kept or key in counted


@settings(max_examples=120)
@given(case=edited(), ours=RELAYS)
def test_new_words_are_in_the_humans_section(case: tuple[str, str, list[str]], ours: Relay) -> None:
    """A line that the base did not have is in the human's section afterwards."""
    base, theirs, _ = case
    kept = set(keys(merge(base, ours, theirs).relay.human))
    new = set(keys(theirs)) - set(keys(base))
    boilerplate = {line for line in new if line.strip().casefold() == "## from you" or stamp_of(line)}
    assert new - boilerplate <= kept


@settings(max_examples=120)
@given(case=edited(), ours=RELAYS)
def test_the_humans_section_stays_to_the_byte(case: tuple[str, str, list[str]], ours: Relay) -> None:
    """What the human has in the section begins the section afterwards, unchanged."""
    base, theirs, _ = case
    human = split(theirs).human
    assert merge(base, ours, theirs).relay.human.startswith(human or "")


@settings(max_examples=120)
@given(case=edited(), ours=RELAYS)
def test_merging_twice_is_merging_once(case: tuple[str, str, list[str]], ours: Relay) -> None:
    """An editor that saves the same buffer again changes nothing more."""
    base, theirs, _ = case
    once = merge(base, ours, theirs).relay
    assert merge(base, once, theirs).relay == once


def test_a_persons_blank_lines_stay_when_words_are_moved_behind_them_twice() -> None:
    """Only the blank line that the move itself put there goes with what it moved."""
    base = render(Relay(version=1))
    ours = Relay(version=1, human="\n\n\n")
    title = "# Relay\n"
    for theirs in (f"0\n{base}", f"0\n{base.replace(title, title + title)}"):
        once = merge(base, ours, theirs, guessed=True).relay
        assert merge(base, once, theirs, guessed=True).relay == once


@settings(max_examples=120)
@given(case=edited(), ours=RELAYS)
def test_what_is_not_in_a_file_of_unknown_origin_was_not_taken_out(
    case: tuple[str, str, list[str]], ours: Relay
) -> None:
    """With a base that is but a guess, every line of the section stays, and none is noted; twice is once."""
    base, theirs, _ = case
    merged = merge(base, ours, theirs, guessed=True)
    kept = set(keys(merged.relay.human))
    assert {*keys(ours.human), *keys(split(theirs).human or "")} <= kept
    assert [block for block in merged.moved if block.startswith("> Taken out")] == []
    assert merge(base, merged.relay, theirs, guessed=True).relay == merged.relay


def test_a_stamp_is_found_below_words_above_it() -> None:
    """Above the human's section only: one that a person quotes there says nothing about the file."""
    text = render(FIRST)
    assert stamp_in("words\n\n" + text) == stamp_in(text) == stamp_of(text)
    assert stamp_in("## From you\n" + text) is None


STEPS = st.tuples(st.integers(0, 99), st.integers(0, 99), st.booleans(), st.booleans())


@settings(max_examples=120)
@given(human=HUMAN, steps=st.lists(STEPS, max_size=12))
def test_stale_saves_one_after_another_lose_no_line(
    human: str, steps: list[tuple[int, int, bool, bool]]
) -> None:
    """Each step saves some version with a line put in anywhere, ended or not: all lines stay."""
    relay = replace(FIRST, human=human)
    texts = [render(relay)]
    for number, (version, at, cut, newest) in enumerate(steps):
        base = texts[-1] if newest else texts[version % len(texts)]
        lines = base.split("\n")
        lines.insert(len(lines) if cut else at % (len(lines) + 1), f"line {number}")
        relay = replace(merge(base, relay, "\n".join(lines)).relay, version=len(texts) + 1)
        texts.append(render(relay))
    kept = keys(relay.human)
    assert [number for number in range(len(steps)) if f"line {number}" not in kept] == []


@given(ours=RELAYS, version=st.integers(1, 9))
def test_nothing_done_is_nothing_moved(ours: Relay, version: int) -> None:
    """Against a file that nobody touched, what the core wants is what is written."""
    base = render(replace(FIRST, human=ours.human, version=version))
    merged = merge(base, ours, base)
    assert (merged.relay, merged.moved) == (ours, ())


@given(ours=RELAYS, theirs=st.text(max_size=400), base=st.none() | st.text(max_size=100))
def test_nonsense_never_raises_and_is_kept(ours: Relay, theirs: str, base: str | None) -> None:
    """A file edited into anything merges, and its words that the base had not are kept."""
    merged = merge(base, ours, theirs).relay
    told = set(keys(theirs)) - set(keys(base or render(ours)))
    assert {key for key in told if key.strip().casefold() != "## from you" and not stamp_of(key)} <= set(
        keys(merged.human)
    )
    assert parse(render(merged)) == merged
    lint(theirs)


@pytest.mark.parametrize("theirs", [None, "", "\n\n", "\0\0\0"])
def test_an_emptied_or_deleted_file_loses_no_word(theirs: str | None) -> None:
    """Such a file looks like a save in progress: the human's section stays as it was last."""
    ours = replace(FIRST, human="Never touch prod.\n")
    human = merge(render(ours), ours, theirs).relay.human
    assert human.startswith("Never touch prod.\n")


def test_an_edit_in_a_core_section_is_moved_word_for_word() -> None:
    """The moved words say from where and from which version they come."""
    ours = replace(FIRST, human="Mine.\n")
    theirs = render(ours).replace("Look at the open issues and plan the first one.", "Do  *this*\tfirst!")
    merged = merge(render(ours), ours, theirs)
    block = "> Moved here from “Next action” of version 1:\n\nDo  *this*\tfirst!\n"
    assert merged == type(merged)(relay=replace(ours, human="Mine.\n\n" + block), moved=(block,))


def test_an_item_taken_out_is_noted() -> None:
    """Deleting a decision has no words of its own: the note has the item, so that the admin learns of it."""
    plan = replace(FIRST.plan, decisions=(KeyDecision(what="Use X", why="fast", cycle=3),))
    ours = replace(FIRST, plan=plan)
    theirs = render(ours).replace("- Use X\n  - why (cycle 3): fast\n", "")
    (note,) = merge(render(ours), ours, theirs).moved
    assert note == "> Taken out of “Key decisions” of version 1:\n\n> - Use X\n>   - why (cycle 3): fast\n"


def test_a_stale_buffer_loses_nothing() -> None:
    """Saving what was opened two versions ago keeps its words, and those that were moved meanwhile."""
    old = replace(FIRST, human="a\nb\n")
    ours = replace(FIRST, version=3, human="a\nb\n\n> Moved here from “Facts” of version 2:\n\nc\n")
    theirs = render(old).replace("a\nb\n", "a\nd\n")
    merged = merge(render(old), ours, theirs).relay
    assert merged.human == "a\nd\n\n> Moved here from “Facts” of version 2:\n\nc\n"


def test_a_block_between_a_persons_own_lines_takes_none_of_them_along() -> None:
    """They wrote right above and below what was moved; an old buffer moves it again: lines stay lines."""
    theirs = render(FIRST).replace("Starting", "Stopping")
    moved = merge(render(FIRST), FIRST, theirs).moved[0]
    ours = replace(FIRST, human=f"above\n{moved}below\n")
    assert merge(render(FIRST), ours, theirs).relay.human == f"\n\nabove\nbelow\n\n{moved}"


def test_line_ends_are_no_edit() -> None:
    """An editor that writes CRLF moves nothing; the section's bytes are the human's."""
    ours = replace(FIRST, human="one\ntwo\n")
    merged = merge(render(ours), ours, render(ours).replace("\n", "\r\n"))
    assert (merged.relay.human, merged.moved) == ("one\r\ntwo\r\n", ())


def test_ten_megabytes_merge_in_seconds() -> None:
    """Ten megabytes pasted into a core section are moved whole."""
    ours = replace(FIRST, human="mine\n")
    paste = "".join(f"line {number} of a log that somebody pasted\n" for number in range(250_000))
    theirs = render(ours).replace("## Current phase\n", paste + "## Current phase\n")
    merged = merge(render(ours), ours, theirs)
    assert paste in merged.relay.human
    assert merged.relay.human.startswith("mine\n")


@given(relay=RELAYS, more=DECISIONS)
def test_the_core_fits_the_cap_and_the_next_action_stays(relay: Relay, more: tuple[KeyDecision, ...]) -> None:
    """However much there is, the core's part is within the cap, and what went is in the overflow."""
    items = tuple(f"item {number} " + "x" * 280 for number in range(30))
    facts = tuple((f"fact {number}", "x" * 300) for number in range(30))
    big = clean(
        replace(relay, facts=facts, plan=replace(relay.plan, done=items, decisions=more, questions=items))
    )
    fitted, overflow = fit(big)
    assert core_tokens(fitted) <= CAP_TOKENS
    assert (fitted.plan.next_action, fitted.human) == (big.plan.next_action, big.human)
    assert all(f"- done: {text}\n" in overflow for text in big.plan.done if text not in fitted.plan.done)


def test_the_humans_text_does_not_count() -> None:
    """A long section of the human's pushes nothing out."""
    relay = replace(FIRST, human="word " * 10_000)
    assert fit(relay) == (relay, "")


def test_tokens_are_counted_by_bytes() -> None:
    """Two tokens for five bytes, rounded up."""
    assert [tokens(text) for text in ("", "a", "abcde", "日本")] == [0, 1, 2, 3]


def test_a_delta_changes_what_it_names() -> None:
    """Decisions are added with their cycle and dropped by their exact words; what is not named stays."""
    plan = Plan(
        next_action="old",
        decisions=(KeyDecision(what="A", why="a"), KeyDecision(what="B", why="b")),
        done=("x",),
    )
    delta = RelayDelta(
        done=("did  it",), add_decisions=(NewDecision(what="C", why="c"),), drop_decisions=("A",)
    )
    changed = apply(replace(FIRST, plan=plan), delta, 7).plan
    assert changed == Plan(
        next_action="old",
        done=("did it",),
        decisions=(KeyDecision(what="B", why="b"), KeyDecision(what="C", why="c", cycle=7)),
    )
    assert left_behind(plan, changed) == "- done: x\n- decision: A; why: a\n"


def test_a_delta_out_of_bounds_is_said_and_cut() -> None:
    """What is too long is told to the admin, and cut when it is applied all the same."""
    delta = RelayDelta(next_action="n" * 500, drop_decisions=("Z",))
    assert out_of_bounds(delta, FIRST.plan) == (
        "next_action has a text of 500 characters; at most 400 are kept",
        "drop_decisions: there is no key decision “Z”",
    )
    assert len(apply(FIRST, delta, 1).plan.next_action) == 400


def test_a_delta_cannot_leave_the_loop_without_a_next_action() -> None:
    """An empty next action is a complaint, and the old one stays."""
    delta = RelayDelta(next_action=" \n")
    assert out_of_bounds(delta, FIRST.plan) == (
        "next_action is empty: name the one next action, or leave the field out",
    )
    assert apply(FIRST, delta, 1).plan.next_action == FIRST.plan.next_action


def test_every_field_of_a_delta_says_what_it_is_for() -> None:
    """The admin's tool is made from these words."""
    assert [
        field.name
        for kind in (RelayDelta, NewDecision)
        for field in fields(kind)
        if not field.metadata.get("doc")
    ] == []


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ([], "no"),
        ([(1, "a", True)], "no"),
        ([(1, "a", True), (2, "A. ", False)], "warn"),
        ([(1, "a", True), (2, "a", True)], "no"),
        ([(1, "a", False), (2, "a", False), (3, "a", False)], "park"),
        ([(1, "a", False), (2, "a", True), (3, "a", False)], "warn"),
        ([(1, "a", False), (2, "b", False), (3, "a", False)], "no"),
        ([(3, "a", False), (1, "a", True), (2, "a", False)], "park"),
        ([(1, "a", False), (2, "b", False), (2, "a", False)], "warn"),
    ],
)
def test_the_stall_rule(history: list[tuple[int, str, bool]], expected: str) -> None:
    """The same next action twice without a new signal warns, three times parks."""
    assert stalled(history) == expected


def test_lint_names_line_and_fix() -> None:
    """A relay that was edited in the wrong places: each problem with its line."""
    text = (
        render(FIRST)
        .replace("## Facts\n", "## My facts\nwhatever\n")
        .replace("Look at", "_nothing_\nLook at")
    )
    found = [(problem.line, problem.what) for problem in lint(text)]
    assert found == [
        (8, "a second line where there is room for one"),
        (33, "a heading that is not one of the relay's, or comes twice"),
        (34, "text outside the relay's sections"),
        (36, "text outside the relay's sections"),
        (38, "no section “## Facts”"),
    ] or [what for _, what in found]


def test_what_is_written_first_is_without_problems() -> None:
    """The relay of a new home passes its own check."""
    assert lint(render(FIRST)) == ()


@example("<!-- agentloop relay v1 · version 3 · 0000000000000000 -->")
@given(st.text())
def test_salvage_is_total(text: str) -> None:
    """Anything can be looked at."""
    relay, problems = salvage(text)
    assert relay.human in text
    assert problems or parse(text) == relay
