"""The Messages API through the anthropic SDK: the only module that imports it, its transport, and tenacity.

What the SDK does is written down here because the design rests on it (2.10, read at its source): a status
of 400 or more raises APIStatusError; a connection that fails before the answer's headers raises
APIConnectionError, a timeout there APITimeoutError; while a stream is read the transport's own errors come
through; a stream that ends without `message_stop` raises nothing. `Stream.raw_events` gives the events as
they were sent, pings included.
"""

from __future__ import annotations

import gc
import socket
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import anthropic
import httpx2
import tenacity

from agentloop.domain.model import (
    NOTHING_USED,
    Answered,
    Limited,
    OutOfBudget,
    Refused,
    Rejected,
    Truncated,
    Unavailable,
)
from agentloop.domain.money import over_ceiling
from agentloop.domain.valueclass import dataclass, field, replace
from agentloop.edges.messages_stream import Gathered, StreamError, body
from agentloop.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agentloop.domain.model import Answer, LimitKind, Request

# The SDK's thousands of classes stay as long as the process: going through them at every collection, and once
# more at exit, cost each cycle a quarter of a second of CPU.
gc.freeze()

LONGEST_WAIT = timedelta(days=8)  # the longest window known is a week; beyond that a reset time is a mistake
LONGEST_WHY = 600  # characters of a server's words that are passed on
WINDOWS = "anthropic-ratelimit-"
CONNECT_SECONDS = 20.0
OVERLOADED = 529  # the vendor's own status; the rest are HTTP's
OUR_FAULT = frozenset({400, 413, 422})
"""Statuses that speak of the request itself: what was shown to the model, or how."""

WORDS_OF_LIMITS: dict[str, LimitKind] = {
    "rate_limit_error": "rate",
    "overloaded_error": "overload",
    "billing_error": "credit",
}
# 429s that no passing of minutes mends (`error.details.error_code`).
WORDS_OF_CREDIT = ("contract_spend_limit_reached", "enforced_spend_limit_reached")


def _now() -> datetime:
    return datetime.now(tz=UTC)


@dataclass(slots=True)
class _Call:
    """One call under way in a thread of its own, so that its caller can leave it behind."""

    done: Future[Answer] = field(default_factory=Future)
    response: httpx2.Response | None = None
    left: threading.Event = field(default_factory=threading.Event)

    def leave(self) -> None:
        """Break the connection: the server stops generating, and the thread ends at its next read."""
        self.left.set()
        stream = self.response.extensions.get("network_stream") if self.response is not None else None
        wire = stream.get_extra_info("socket") if stream is not None else None
        if isinstance(wire, socket.socket):
            with suppress(OSError):
                # Not wire.shutdown: an SSLSocket would drop its state under the thread that is reading it.
                socket.socket.shutdown(wire, socket.SHUT_RDWR)


class AnthropicModel:
    """The model port over the Messages API. `ask` makes exactly one try and returns every outcome as a value.

    `base_url` empty = the vendor's. The key goes into the authorization header of requests to that host and
    nowhere else: redirects are not followed, and proxies of the environment are used only with
    `proxies_from_env`. Raises SettingsError for a key that cannot be one.
    """

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str = "",
        proxies_from_env: bool = False,
        now: Callable[[], datetime] = _now,
    ) -> None:
        if not api_key or not api_key.isascii() or not api_key.isprintable() or " " in api_key:
            raise SettingsError(
                "the API key is empty or holds characters that no key has",
                fix="put the key alone into ANTHROPIC_API_KEY or the file that models.key_file names",
            )
        self._key = api_key
        self._now = now
        # httpx reads no proxy from the environment when each scheme is mounted to nothing.
        mounts: dict[str, None] = {} if proxies_from_env else dict.fromkeys(("http://", "https://", "all://"))
        self._client = anthropic.Anthropic(
            api_key=api_key,
            base_url=base_url or "https://api.anthropic.com",
            max_retries=0,
            open_telemetry=False,
            http_client=anthropic.DefaultHttpxClient(
                follow_redirects=False, trust_env=proxies_from_env, mounts=mounts
            ),
        )

    def ask(self, request: Request) -> Answer:
        """Return the answer of one try, within `request.timeout_seconds` whatever server and network do."""
        call = _Call()
        over = time.monotonic() + request.timeout_seconds
        thread = threading.Thread(
            target=self._carry_out, args=(call, request), name="model-call", daemon=True
        )
        thread.start()
        try:
            answer = call.done.result(timeout=request.timeout_seconds)
        except TimeoutError:
            return Unavailable(
                why=f"no whole answer within {request.timeout_seconds:g} seconds", usage=None, again=False
            )
        finally:
            # Left on time, or by KeyboardInterrupt: nobody waits for it any more.
            if not call.done.done():
                call.leave()
        if isinstance(answer, Unavailable) and time.monotonic() >= over:
            # The transport's own limit came first, or the failure came last: no time is left all the same.
            return replace(answer, again=False)
        return answer

    def reachable(self, timeout_seconds: float = 10.0) -> Rejected | Limited | Unavailable | None:
        """Return None when the API answers and takes the key, else what is wrong. Costs nothing."""
        try:
            self._client.models.list(limit=1, timeout=timeout_seconds)
        except anthropic.APIStatusError as error:
            return self._by_status(error)
        except (anthropic.AnthropicError, httpx2.HTTPError, ValueError) as error:
            return Unavailable(why=self._clean(_chain(error)), usage=NOTHING_USED)
        return None

    def _carry_out(self, call: _Call, request: Request) -> None:
        try:
            call.done.set_result(self._once(call, request))
        except BaseException as error:  # noqa: BLE001 - carried to the caller's thread, which raises it
            call.done.set_exception(error)

    def _once(self, call: _Call, request: Request) -> Answer:
        per_read = anthropic.Timeout(
            request.timeout_seconds, connect=min(CONNECT_SECONDS, request.timeout_seconds)
        )
        gathered = Gathered()
        try:
            stream = self._client.messages.create(**body(request), stream=True, timeout=per_read)
            call.response = stream.response
            with stream:
                failure = _gather(call, gathered, request)
        except anthropic.APIStatusError as error:
            return self._by_status(error)
        except anthropic.APIConnectionError as error:
            return self._not_connected(error)
        except (httpx2.HTTPError, httpx2.StreamError, UnicodeDecodeError) as error:
            return Unavailable(why=self._clean(f"the connection broke: {_chain(error)}"), usage=None)
        if isinstance(failure, OutOfBudget):
            return failure
        if failure is not None:
            return self._by_event(failure)
        return _answer(gathered, request, call.response.headers.get("request-id"))

    def _not_connected(self, error: anthropic.APIConnectionError) -> Unavailable:
        # Only a connection that was never made is sure not to have been served.
        never = isinstance(error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout)
        return Unavailable(why=self._clean(_chain(error)), usage=NOTHING_USED if never else None)

    def _by_event(self, failure: StreamError) -> Answer:
        why = self._clean(f"{failure.kind} in the middle of the answer: {failure.message}")
        kind = WORDS_OF_LIMITS.get(failure.kind)
        if kind is None:
            return Unavailable(why=why, usage=None)
        return Limited(kind=kind, why=why, until=None, retry_after_seconds=None, usage=None)

    def _by_status(self, error: anthropic.APIStatusError) -> Rejected | Limited | Unavailable:
        status = error.status_code
        why = self._clean(f"{status}: {error.api_message or error.message}")
        kind = _limit_kind(error)
        if kind is not None:
            wait = wait_seconds(error.response.headers, self._now())
            until = None if wait is None else self._now() + timedelta(seconds=wait)
            why += _window(error.response.headers, self._now())
            return Limited(kind=kind, why=why, until=until, retry_after_seconds=wait)
        if status in {408, 409} or status >= 500:  # noqa: PLR2004 - HTTP's own numbers
            return Unavailable(why=why, usage=None)
        return Rejected(why=why, fix=_fix(status), ours=status in OUR_FAULT)

    def _clean(self, words: str) -> str:
        short = words if len(words) <= LONGEST_WHY else f"{words[:LONGEST_WHY]}…"
        return words.replace(self._key, "[key]")[:LONGEST_WHY] if self._key in words else short


def _gather(call: _Call, gathered: Gathered, request: Request) -> StreamError | OutOfBudget | None:
    response = call.response
    if response is None or call.left.is_set():
        return None
    for event in anthropic.Stream.raw_events(response):
        if call.left.is_set():
            break
        failure = gathered.feed(event.data) if event.data else None
        if failure is not None:
            return failure
        if gathered.stopped:
            break
        over = over_ceiling(gathered.usage, gathered.streamed_bytes, request)
        if over is not None:
            return over
    return None


def _answer(gathered: Gathered, request: Request, request_id: str | None) -> Answer:
    usage = gathered.usage if gathered.usage_is_final else None
    blocks = tuple(gathered.blocks)
    if not gathered.model:
        return Unavailable(why="the server's answer was no stream of events", usage=None)
    if not gathered.stopped or gathered.stop_reason is None:
        return Truncated(blocks=blocks, why="the stream ended before the answer did", usage=usage)
    if gathered.stop_reason == "refusal":
        return Refused(why=gathered.why or "no reason was given", usage=usage)
    if why := _cut_off(gathered, request):
        return Truncated(blocks=blocks, why=why, usage=usage)
    return Answered(
        blocks=blocks,
        stop="tool_use" if gathered.stop_reason == "tool_use" else "end_turn",
        usage=gathered.usage,
        model=gathered.model,
        request_id=request_id,
        answered_by=request.model,
    )


def _cut_off(gathered: Gathered, request: Request) -> str:
    match gathered.stop_reason:
        case "max_tokens":
            return f"the answer is longer than the {request.max_output_tokens} tokens allowed"
        case "model_context_window_exceeded":
            return "the conversation is longer than the model's context window"
        case "pause_turn":
            return "the server paused the answer"
        case _ if gathered.broken:
            return f"the input of the tool {gathered.broken[0]!r} is not a JSON object"
        case _:
            return ""


def _limit_kind(error: anthropic.APIStatusError) -> LimitKind | None:
    if error.error_code in WORDS_OF_CREDIT or error.status_code == 402:  # noqa: PLR2004 - Payment Required
        return "credit"
    if error.status_code == OVERLOADED:
        return "overload"
    if error.status_code == 429:  # noqa: PLR2004 - Too Many Requests
        return "rate"
    return WORDS_OF_LIMITS.get(error.type or "")


def _fix(status: int) -> str:
    match status:
        case 401 | 403:
            return "check the API key, and that its workspace may use this model; `agentloop doctor` tries it"
        case 404:
            return "check the model's name and models.base_url"
        case 413:
            return "the request is too large: shorten the conversation"
        case _ if 300 <= status < 400:  # noqa: PLR2004 - HTTP's redirects
            return "redirects are not followed, to keep the key: set models.base_url to the final address"
        case _:
            return "the service found the request malformed; this is a mistake in agentloop, please report it"


def wait_seconds(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return how long a limit lasts by the answer's headers, or None when they do not say.

    At most LONGEST_WAIT. The longest of `retry-after` and the reset of every window that is used up: of a
    week, five hours and a minute, all of which may be reported, the one that lasts. Resets are the server's
    times, so they are measured from its `date`, not from our clock.
    """
    server_now = _moment(headers.get("date")) or now
    waits = [_retry_after(headers, server_now), *exhausted(headers, server_now).values()]
    known = [wait for wait in waits if wait is not None]
    return min(max(0.0, *known), LONGEST_WAIT.total_seconds()) if known else None


def exhausted(headers: Mapping[str, str], server_now: datetime) -> dict[str, float]:
    """Return the windows that are used up, each with the seconds until its reset.

    `anthropic-ratelimit-<window>-reset` beside a `-remaining` of 0 or a `-status` of rejected.
    """
    found: dict[str, float] = {}
    for name, value in headers.items():
        window = name.lower().removesuffix("-reset")
        if not window.startswith(WINDOWS) or window == name.lower():
            continue
        used_up = headers.get(f"{window}-remaining", "").strip() == "0"
        refused = headers.get(f"{window}-status", "").strip().lower() == "rejected"
        reset = _moment(value) if used_up or refused else None
        if reset is not None:
            found[window.removeprefix(WINDOWS)] = (reset - server_now).total_seconds()
    return found


def _window(headers: Mapping[str, str], now: datetime) -> str:
    windows = exhausted(headers, _moment(headers.get("date")) or now)
    return f" (window: {max(windows, key=lambda name: windows[name])})" if windows else ""


def _retry_after(headers: Mapping[str, str], server_now: datetime) -> float | None:
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        value = headers.get(name, "")
        with suppress(ValueError):
            return float(value) / unit
    until = _moment(headers.get("retry-after"))
    return None if until is None else (until - server_now).total_seconds()


def _moment(value: str | None) -> datetime | None:
    """Read RFC 3339, an HTTP date, or seconds since 1970, as different windows give them."""
    if not value:
        return None
    for read in (datetime.fromisoformat, parsedate_to_datetime, _since_1970):
        with suppress(ValueError, TypeError, OverflowError, OSError):
            found = read(value)
            return found if found.tzinfo else found.replace(tzinfo=UTC)
    return None


def _since_1970(value: str) -> datetime:
    return datetime.fromtimestamp(float(value), tz=UTC)


def _chain(error: BaseException) -> str:
    words: list[str] = []
    link: BaseException | None = error
    while link is not None and len(words) < 4:  # noqa: PLR2004 - deeper causes add nothing
        words.append(f"{type(link).__name__}: {link}" if str(link) else type(link).__name__)
        link = link.__cause__
    return " < ".join(dict.fromkeys(words))


def retrying(
    *,
    attempts: int = 3,
    seconds: float = 60.0,
    sleep: Callable[[float], None] = time.sleep,
) -> Callable[[Callable[[], Answer]], Answer]:
    """Return the one policy that asks again after an outage.

    At most `attempts` tries, none begun after `seconds`. Only Unavailable is tried again, and only when a
    further try makes sense; limits are never slept on here. Waits 0.5, 1, 2 … seconds with jitter. The last
    answer is returned as it is.
    """
    policy = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(attempts) | tenacity.stop_before_delay(seconds),
        wait=tenacity.wait_exponential_jitter(multiplier=0.5, max=8.0, jitter=0.5),
        retry=tenacity.retry_if_result(lambda answer: isinstance(answer, Unavailable) and answer.again),
        retry_error_callback=_last_answer,
        sleep=sleep,
    )

    def ask_patiently(ask: Callable[[], Answer]) -> Answer:
        # A copy: a policy keeps the statistics of its last run on itself.
        return policy.copy()(ask)

    return ask_patiently


def _last_answer(state: tenacity.RetryCallState) -> object:
    return state.outcome.result() if state.outcome is not None else None
