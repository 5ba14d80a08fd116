"""What calls cost, and whether a further one may be made, in micro-dollars (millionths of a dollar).

The promise all of this serves: settled <= served <= settled + unresolved. A call is reserved at its ceiling
before it is made; it is settled at its cost when the vendor has said what it used; what was never settled
counts at its ceiling.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Literal, TypeAlias, assert_never

from agentloop.domain.model import OutOfBudget, Request, Usage, message_bytes, request_bytes
from agentloop.domain.settings import MICROS, Limits, Price, micros
from agentloop.domain.shares import Share, by_model
from agentloop.domain.spells import Spell, spells
from agentloop.domain.valueclass import dataclass, replace

# What a vendor adds to the words it is sent: the frame of each message, its own prompt for tool use
# (published at 264 to 804 tokens, by model and choice of tool), and room for that to grow.
OVERHEAD_TOKENS = 2_048
OVERHEAD_TOKENS_PER_PART = 32  # each message, block and tool brings a little of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceTable:
    """Prices by model's name, with the day they were read off their source."""

    as_of: date
    source: str
    models: dict[str, Price]


@dataclass(frozen=True, slots=True, kw_only=True)
class BadPrices:
    """A price table that cannot be used, and why."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoPrice:
    """A model without a price. It may not be called: what it costs could not be held against a limit."""

    model: str
    known: tuple[str, ...]

    @property
    def what(self) -> str:
        """The trouble in one line."""
        return f"no price is known for the model {self.model!r}"

    @property
    def fix(self) -> str:
        """What a person does about it."""
        return f"name one of {', '.join(self.known)}, or add its price in the settings under [prices]"


def price_of(prices: Mapping[str, Price], model: str) -> Price | NoPrice:
    """Return the price of the model, or a value that says what to do about its absence."""
    price = prices.get(model)
    return NoPrice(model=model, known=tuple(sorted(prices))) if price is None else price


def parse_prices(text: str) -> PriceTable | BadPrices:
    """Return the table in `text`: TOML with `as_of`, `source`, and for each model dollars per million tokens.

    Anything missing, unknown, negative or finer than a micro-dollar makes the whole table unusable: a guessed
    price is a limit that does not hold.
    """
    import tomllib
    from decimal import Decimal

    try:
        table = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        return BadPrices(why=f"not TOML: {error}")
    as_of, source, models = table.get("as_of"), table.get("source"), table.get("models")
    if not (isinstance(as_of, date) and isinstance(source, str) and isinstance(models, dict) and models):
        return BadPrices(why="it needs as_of (a date), source (words) and models (an entry for each)")
    prices = {name: _price(entry) for name, entry in models.items()}
    good = {name: price for name, price in prices.items() if price is not None}
    if bad := sorted(prices.keys() - good.keys()):
        return BadPrices(why=f"{bad[0]} needs input, output, cache_write and cache_read, in dollars")
    return PriceTable(as_of=as_of, source=source, models=good)


def _price(entry: object) -> Price | None:
    names = ("input", "output", "cache_write", "cache_read")
    if not isinstance(entry, dict) or set(entry) - {"note"} != set(names):
        return None
    micros = {name: _micros(entry[name]) for name in names}
    good = {name: each for name, each in micros.items() if each is not None}
    return Price(**good) if len(good) == len(names) else None


def _micros(amount: object) -> int | None:
    from decimal import Decimal

    if isinstance(amount, bool) or not isinstance(amount, int | Decimal):
        return None
    micros = Decimal(amount) * MICROS
    if not micros.is_finite() or micros < 0 or micros % 1:
        return None
    return int(micros)


def cost_micros(usage: Usage, price: Price) -> int:
    """Return what the usage costs, rounded up to a whole micro-dollar."""
    total = (
        usage.input_tokens * price.input
        + usage.output_tokens * price.output
        + usage.cache_write_tokens * price.cache_write
        + usage.cache_read_tokens * price.cache_read
    )
    return -(-total // MICROS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A request, and the input tokens (of every kind) that the vendor counted for it."""

    request: Request
    input_tokens: int


def ceiling_micros(request: Request, price: Price, before: Measured | None = None) -> int:
    """Return the most that the call can cost.

    Every token of a byte-level tokenizer stands for at least one byte, so the bytes that the model is
    shown, plus what the vendor adds, bound its input; each is counted at the dearest way to be charged for
    input. `max_output_tokens` bounds the output, thinking included. English prose has about four bytes to a
    token: the ceiling is far above the usual cost, on purpose, because digits and hostile text come close
    to one. When `request` only adds messages to one that was measured (`before`), bytes stand for the new
    ones alone.
    """
    return -(
        -(_most_input(request, before) * _dearest(price) + request.max_output_tokens * price.output) // MICROS
    )


def ceiling_tokens(request: Request, before: Measured | None = None) -> int:
    """Return the most tokens, of every kind, that the call can take; bounded as in `ceiling_micros`."""
    return _most_input(request, before) + request.max_output_tokens


def over_ceiling(usage: Usage, streamed_bytes: int, request: Request) -> OutOfBudget | None:
    """Return why a call in hand is cut off, or None: its cost has passed what was set aside for it.

    What the vendor has counted so far counts, and a token for each 8 bytes of its words: one that keeps to
    `max_output_tokens` sends about 4 a token. What it may have served counts with all that it was allowed to
    answer, or a token a byte.
    """
    ceiling = request.ceiling
    if ceiling is None:
        return None
    least = max(usage.output_tokens, streamed_bytes // 8)
    if cost_micros(replace(usage, output_tokens=least), ceiling.price) <= ceiling.micros:
        return None
    most = max(usage.output_tokens, streamed_bytes, request.max_output_tokens)
    served = cost_micros(replace(usage, output_tokens=most), ceiling.price)
    return OutOfBudget(limit="call", left_micros=0, needed_micros=ceiling.micros, most_micros=served)


def _dearest(price: Price) -> int:
    return max(price.input, price.cache_write, price.cache_read)


def _most_input(request: Request, before: Measured | None) -> int:
    if before is not None and _extends(request, before.request):
        new = request.messages[len(before.request.messages) :]
        return before.input_tokens + message_bytes(new) + OVERHEAD_TOKENS_PER_PART * _parts(new)
    parts = len(request.system) + len(request.tools) + _parts(request.messages)
    return request_bytes(request) + OVERHEAD_TOKENS + OVERHEAD_TOKENS_PER_PART * parts


def _extends(request: Request, earlier: Request) -> bool:
    # Another model counts other tokens; a changed system prompt or tool changes what comes before the
    # messages.
    same = (request.model, request.system, request.tools) == (earlier.model, earlier.system, earlier.tools)
    return same and request.messages[: len(earlier.messages)] == earlier.messages


def _parts(messages: tuple[object, ...]) -> int:
    return sum(1 + len(getattr(message, "blocks", ())) for message in messages)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """A call may now be made, and may cost up to `micros` and take up to `tokens`."""

    FORMAT = 1

    call: str
    model: str
    micros: int
    at: datetime
    tokens: int = 0
    v: Literal[1] = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """The vendor has said what the call used. A call that was certainly not served settles at 0."""

    FORMAT = 1

    call: str
    micros: int
    usage: Usage
    at: datetime
    v: Literal[1] = 1


Entry: TypeAlias = Reserved | Settled


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """Money gone, and money that may be gone."""

    settled_micros: int = 0
    unresolved_micros: int = 0  # reserved and never settled, at the ceiling
    tokens: int = 0  # of every kind, the unresolved at their ceiling

    @property
    def most_micros(self) -> int:
        """The most that can have been spent: what limits are held against."""
        return self.settled_micros + self.unresolved_micros

    def __add__(self, other: Spend) -> Spend:
        return Spend(
            settled_micros=self.settled_micros + other.settled_micros,
            unresolved_micros=self.unresolved_micros + other.unresolved_micros,
            tokens=self.tokens + other.tokens,
        )


NOTHING_SPENT = Spend()


def spent(entries: Iterable[Entry]) -> Spend:
    """Return the fold of a ledger. An entry that comes twice counts once (the dearer), in whatever order."""
    shares = shares_of(entries)
    return Spend(
        settled_micros=sum(one.micros for one in shares),
        unresolved_micros=sum(one.unresolved_micros for one in shares),
        tokens=sum(one.tokens for one in shares),
    )


def shares_of(entries: Iterable[Entry]) -> tuple[Share, ...]:
    """Return what the calls in a ledger took, model by model.

    A call that comes twice counts once (the dearer); one that is settled and was never seen reserved has no
    model's name.
    """
    reserved, settled = _by_call(entries)
    calls = [_share_of(reserved.get(call), one) for call, one in settled.items()]
    open_calls = [_open_share(one) for call, one in reserved.items() if call not in settled]
    return by_model([*calls, *open_calls])


def spells_of(entries: Iterable[Entry]) -> tuple[Spell, ...]:
    """Return when the settled calls in a ledger were settled, as `spells` does.

    The open ones are in none: nobody knows until when they were served.
    """
    reserved, settled = _by_call(entries)
    return spells((one.at, _share_of(reserved.get(call), one)) for call, one in settled.items())


def _by_call(entries: Iterable[Entry]) -> tuple[dict[str, Reserved], dict[str, Settled]]:
    reserved: dict[str, Reserved] = {}
    settled: dict[str, Settled] = {}
    for entry in entries:
        match entry:
            case Reserved():
                known = reserved.get(entry.call)
                reserved[entry.call] = entry if known is None or _rank(entry) > _rank(known) else known
            case Settled():
                paid = settled.get(entry.call)
                settled[entry.call] = entry if paid is None or _rank(entry) > _rank(paid) else paid
            case _:
                assert_never(entry)
    return reserved, settled


def _rank(entry: Entry) -> tuple[object, ...]:
    # A full order, so that which of two comes first never counts.
    return (
        (entry.micros, entry.tokens) if isinstance(entry, Reserved) else (entry.micros, *_kinds(entry.usage))
    )


def _kinds(usage: Usage) -> tuple[int, ...]:
    kinds = (usage.input_tokens, usage.output_tokens, usage.cache_write_tokens, usage.cache_read_tokens)
    return (sum(kinds), *kinds)


def _share_of(reserved: Reserved | None, paid: Settled) -> Share:
    usage = paid.usage
    return Share(
        model=reserved.model if reserved else "",
        # One that was certainly not served is no call.
        calls=int(usage != Usage() or paid.micros > 0),
        micros=paid.micros,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        cache_read_tokens=usage.cache_read_tokens,
    )


def _open_share(one: Reserved) -> Share:
    return Share(model=one.model, calls=1, unresolved_micros=one.micros, unresolved_tokens=one.tokens)


def used(entries: Iterable[Entry]) -> Usage:
    """Return the tokens of all settled calls."""
    by_call = {entry.call: entry.usage for entry in entries if isinstance(entry, Settled)}
    return sum(by_call.values(), Usage())


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A spend limit, and what counts against it so far; 0 tokens = no limit of tokens."""

    name: str  # as people read it: "attempt", "cycle", or a setting's name
    micros: int
    spend: Spend = NOTHING_SPENT
    tokens: int = 0
    each_call: bool = False  # it holds for every call on its own: what was spent before does not count

    @property
    def left_micros(self) -> int:
        """What may still be reserved under it; never below 0."""
        return max(0, self.micros - self.spend.most_micros)

    @property
    def left_tokens(self) -> int:
        """As `left_micros`, in tokens; 0 when tokens are not limited."""
        return max(0, self.tokens - self.spend.tokens)


def may_spend(limits: Iterable[Limit], needed_micros: int, needed_tokens: int = 0) -> OutOfBudget | None:
    """Return None when what is needed fits under every limit, else the limit with the least left."""
    known = tuple(limits)
    short = [limit for limit in known if needed_micros > limit.left_micros]
    if short:
        tightest = min(short, key=lambda limit: limit.left_micros)
        return OutOfBudget(limit=tightest.name, left_micros=tightest.left_micros, needed_micros=needed_micros)
    counted = [limit for limit in known if limit.tokens and needed_tokens > limit.left_tokens]
    if not counted:
        return None
    least = min(counted, key=lambda limit: limit.left_tokens)
    return OutOfBudget(
        limit=least.name,
        left_micros=least.left_micros,
        needed_micros=needed_micros,
        left_tokens=least.left_tokens,
        needed_tokens=needed_tokens,
    )


def limits_for(limits: Limits, name: str, purse_micros: int, purse_tokens: int = 0) -> tuple[Limit, ...]:
    """Return the limits inside a purse (`name`: "attempt" or "cycle"): the purse, and what a call may take.

    What is wider (task, issue, hour, day, in all) was held against the purse when it was set aside.
    """
    purse = Limit(name=name, micros=purse_micros, tokens=purse_tokens)
    call = micros(limits.call_usd) if limits.call_usd else purse_micros
    if not (limits.call_usd or limits.call_tokens):
        return (purse,)
    return (purse, Limit(name="call", micros=call, tokens=limits.call_tokens, each_call=True))
