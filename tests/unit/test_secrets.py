"""Secrets are found by their issuers' shapes; ordinary text is left alone."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.domain.secrets import find_secrets, redact

BODY = "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA5bC7d"  # 40 characters that mean nothing

SECRETS = {
    "anthropic key": f"sk-ant-api03-{BODY}{BODY}-AA",
    "openai key": f"sk-proj-{BODY}_{BODY}",
    "github token": "ghp_" + BODY[:36],
    "gitlab token": "glpat-" + BODY[:20],
    "aws access key": "AKIA" + "Q4RTZ7NBWE5M3KLP",
    "google api key": "AIza" + BODY[:35],
    "npm token": "npm_" + BODY[:36],
    "slack token": "xoxb-" + "2403157891-" + BODY[:24],
    "stripe key": "sk_live_" + BODY[:24],
    "hugging face token": "hf_" + BODY[:34],
    "json web token": f"eyJ{BODY[:20]}.eyJ{BODY[:30]}.{BODY}",
    "private key": f"-----BEGIN OPENSSH PRIVATE KEY-----\n{BODY}\n{BODY}\n-----END OPENSSH PRIVATE KEY-----",
}
MORE = {
    "openai key": "sk-" + BODY + "12345678",
    "github token": f"github_pat_{BODY[:22]}_{BODY}{BODY[:19]}",
}
ASSIGNED = [
    f"API_KEY = '{BODY}'",
    f'"client_secret": "{BODY}"',
    "DB_PASSWORD=tr0ub4dor-x9Q7pz2",
    f"Authorization: Bearer {BODY}",
    "postgres://app:s3cr3tPass9@db.internal/x",
]
HARMLESS = [
    "token_count = calculate_tokens(text)",
    "password: str = field(default='')",
    "api_key = os.environ['ANTHROPIC_API_KEY']",
    "set ANTHROPIC_API_KEY=sk-ant-your-key-here",
    "secret = settings.secret_key_2024.value",
    "commit 3f2a9c0d1e2f3a4b5c6d7e8f9a0b1c2d3e4f5a6b",
    "<!-- agentloop relay v1 · version 12 · 3f2a9c0d1e2f3a4b -->",
    "tokens: 180000 input, 1900000 cached",
    "task-7.1.2 sk-learn ghp_short AKIA AIzaSomething",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "https://example.com:8080/path@v2",
    "def test_the_password_is_refused_when_it_is_short() -> None:",
    "token: the_word_after_a_colon_is_long_but_says_something",
]


@pytest.mark.parametrize(("kind", "secret"), [*SECRETS.items(), *MORE.items()])
def test_a_secret_is_found_by_its_shape(kind: str, secret: str) -> None:
    """Each issuer's shape is named, with its line, and taken out."""
    text = f"one\ntwo {secret} three\n"
    assert [(found.kind, found.line) for found in find_secrets(text)] == [(kind, 2)]
    assert redact(text) == f"one\ntwo [secret removed: {kind}] three\n"


@pytest.mark.parametrize("text", ASSIGNED)
def test_what_is_called_a_secret_and_looks_random_is_one(text: str) -> None:
    """Passwords and tokens of unknown shape are found where a name gives them away."""
    assert len(find_secrets(text)) == 1


@pytest.mark.parametrize("text", HARMLESS)
def test_ordinary_words_are_no_secret(text: str) -> None:
    """Code, hashes, placeholders and prose stay."""
    assert redact(text) == text


def test_a_private_key_without_its_end_counts_to_the_end() -> None:
    """A truncated log does not leak the key that was cut."""
    text = f"log\n-----BEGIN RSA PRIVATE KEY-----\n{BODY}\n{BODY}"
    assert redact(text) == "log\n[secret removed: private key]"


@given(st.text(max_size=200), st.sampled_from(list(SECRETS.values())))
def test_redacting_twice_changes_nothing(text: str, secret: str) -> None:
    """What is redacted holds no secret any more."""
    once = redact(f"{text} {secret}\n")
    assert secret not in once
    assert redact(once) == once


@pytest.mark.parametrize(
    "piece",
    ["a", "sk-ant-", "token=", "-----BEGIN PRIVATE KEY-----\n", "eyJ.", "aws key ", "://a:", "password: x "],
)
def test_a_megabyte_of_anything_takes_seconds(piece: str) -> None:
    """No text makes the scan slow: it is linear."""
    text = piece * (1_000_000 // len(piece))
    began = time.process_time()
    find_secrets(text)
    assert time.process_time() - began < 10
