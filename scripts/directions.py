"""Holds the import directions of the package: who may import whom, and which module owns which vendor.

`python scripts/directions.py [FOLDER]` reads every import under FOLDER/agentloop (default: src), those inside
functions and under TYPE_CHECKING included, prints each that is not allowed as `file:line what: why`, and ends
with 1 when there is one. Import cycles count where they bite: among imports made on loading a module.
"""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

PACKAGE = "agentloop"

# Edges made of the standard library alone (held below, under LIGHT).
TOOLBOX = (
    "edges.claims",
    "edges.files",
    "edges.inotify",
    "edges.keys",
    "edges.ledger",
    "edges.lines",
    "edges.processes",
    "edges.room",
    "edges.runfolder",
    "edges.runtime",
    "edges.sdnotify",
)
JOINED = (
    *("acting", "admin", "asking", "compiled", "cycle", "gate", "memory", "prompts", "settings", "taping"),
    *("upkeep", "worker"),
)
SIGHT = ("lightstatus", "looking")
FORGE = ("edges.forge", "edges.merge", "edges.records")
VALUES = "domain.valueclass"
CORE = ("domain", "errors", "exits", "home")

# Layer: (what it may import besides itself, why). A module's layer is the longest name that fits.
ARROWS: dict[str, tuple[tuple[str, ...], str]] = {
    "errors": ((), "errors are drawn in one place and know nothing"),
    "exits": (("errors",), "exit codes name errors and nothing else"),
    "home": ((VALUES,), "where things lie is said once, and looks at nothing"),
    "domain": ((), "rules are pure: they know nothing but the standard library"),
    "ports": (("domain",), "a port speaks in values of the domain"),
    "admin": (("domain", "errors", "ports"), "the admin proposes; it touches nothing"),
    "cycle": ((*CORE, "ports", "acting"), "the cycle sees the world through ports only"),
    "acting": ((*CORE, "ports", "specs"), "effects go through ports only"),
    "specs": ((*CORE, "ports"), "what is given is made from the journal and what ports can read"),
    "rehearsal": (
        (
            *CORE,
            "ports",
            "cycle",
            "acting",
            "wiring",
            "admin",
            "asking",
            "edges.clock",
            "edges.executor",
            "edges.journal",
            *TOOLBOX,
        ),
        "the cycle again, with ports that only tell; executor and journal are looked at",
    ),
    "asking": (
        (*CORE, "ports", "acting", "admin", "cycle", "prompts", "taping", "edges"),
        "joins the admin agent with a model, a ledger and things to read",
    ),
    "taping": ((*CORE, "ports", "cycle"), "where all that a cycle asks is taken down, or played back"),
    "replaying": (
        (*CORE, "compiled", "cycle", "edges.journal", "edges.program", "edges.tape", "taping", "wiring"),
        "the cycle again, with a tape in the place of every port",
    ),
    "prompts": (("errors", VALUES), "templates are text and nothing else"),
    "worker": (
        (*CORE, "ports", "prompts", "edges.git", "edges.slots", "edges.worktree", *TOOLBOX),
        "vendors reach the worker through ports; it checks out by itself, in its sandbox",
    ),
    "gate": (
        (*CORE, "ports", "worker.sandbox", "edges.git", "edges.worktree", *TOOLBOX),
        "a process of its own: it makes its own checkout and runs checks in the worker's sandbox",
    ),
    "memory": ((*CORE, "ports", *TOOLBOX), "vendors reach memory through ports"),
    "settings": (
        (*CORE, *TOOLBOX, "edges.git", "edges.metered"),
        "settings are read before anything else exists; git says what is tracked, metered has the prices",
    ),
    "settings.compiling": (("settings", "compiled", *CORE), "the compiling child writes what others read"),
    "compiled": ((*CORE, *TOOLBOX, "settings.sources"), "compiled settings are read by light processes"),
    "initialise": ((*CORE, *TOOLBOX, "edges.git", "settings"), "making a home needs no other part"),
    "doctor": (
        (*CORE, "compiled", "edges", "initialise", "prompts", "settings", "worker"),
        "doctor looks at every part, and no part looks at doctor",
    ),
    "edges": ((*CORE, "ports"), "an edge fills a port and knows no caller"),
    "supervisor": (
        ("domain.settings", "domain.codec", VALUES, "errors", "exits", "home", "supervision", *TOOLBOX),
        "the supervisor stays thin",
    ),
    "supervision": (
        (
            *("domain.settings", "domain.codec", VALUES, "errors", "exits", "home", *TOOLBOX),
            *("edges.github.client", "edges.github.token"),
        ),
        "the supervisor stays thin",
    ),
    "lightstatus": (
        ("looking", "edges.runfolder", "edges.runtime"),
        "`status --json` reads a snapshot; what is heavier is loaded when there is none",
    ),
    "looking": (
        (
            *(*CORE, "compiled", "lightstatus", "settings.sources"),
            *(
                "edges.journal",
                "edges.tape",
                "edges.records",
                "edges.recordfolder",
                "edges.tracker",
                *TOOLBOX,
            ),
        ),
        "who looks sees settings and journal, and changes nothing",
    ),
    "hooked": (
        (*CORE, "compiled", "edges.webhook", "edges.github", "edges.homeremote", *TOOLBOX),
        "joins the listener for deliveries with the settings; it knows no cycle",
    ),
    "light": (
        (*CORE, "compiled", "hooked", "lightstatus", "supervisor", "supervision", "wiring", *TOOLBOX),
        "light commands load what they need, when they need it",
    ),
    "upkeep": (
        (
            *(*CORE, "worker", "edges.git", "edges.mirror", "edges.pool"),
            *("edges.slots", "edges.worktree", *TOOLBOX),
        ),
        "a process of its own: it makes places ahead as attempts would make them",
    ),
    "recovery": (
        (*CORE, "ports", "edges.forge", "edges.journal", "edges.tracker", *TOOLBOX),
        "a lost journal is told again by what tracker and forge keep of our marks",
    ),
    "rebuilding": (
        (*CORE, "looking", "settings", "wiring", "edges"),
        "making anew looks at every part that keeps something derived",
    ),
    "wiring": (
        (*CORE, "ports", *JOINED, *SIGHT, "recovery", "edges"),
        "wiring joins all",
    ),
    "cli": (
        (
            *(*CORE, "compiled", "doctor", "initialise", "light", "ports"),
            *("settings", "supervisor", "supervision", "wiring", "rehearsal", "rebuilding", "replaying"),
            *(*SIGHT, *TOOLBOX),
        ),
        "commands reach edges through wiring",
    ),
    "cli.issue": (
        (*CORE, "ports", "settings", "light", "wiring", "cli.common", "edges.tracker", *TOOLBOX),
        "a person's hands on the built-in tracker, which is wider than its port",
    ),
    "cli.retry": (
        (*CORE, "light", "cli.common", "edges.requests", *SIGHT, *TOOLBOX),
        "a person's request is a file that the cycle takes in",
    ),
    "cli.pr": (
        (*CORE, "ports", "settings", "light", "wiring", "cli.common", "compiled", *FORGE, *TOOLBOX),
        "a person's hands on the built-in forge, which can do what the loop cannot: merge",
    ),
    "cli.relay": (
        (*CORE, "settings", "light", "cli.common", "edges.relay", "edges.homegit", *TOOLBOX),
        "a person's hands on the relay: its versions and its history",
    ),
    "cli.sim": (
        (*CORE, "light", "cli.common", "cli.folding", "testing", *SIGHT, *TOOLBOX),
        "a forecast plays the real cycle in the simulator's world",
    ),
    "__main__": (
        (*CORE, "cli", "light", "settings.sources", "supervisor", *TOOLBOX),
        "the door leads to commands",
    ),
    "testing": ((PACKAGE,), "doubles may stand in for anything"),
    "": ((), "a new layer needs a line in scripts/directions.py"),
}

# Vendor: (who may import it, why). A vendor that is not named here belongs to nobody.
VENDORS: dict[str, tuple[tuple[str, ...], str]] = {
    "anthropic": (("edges.anthropic",), "one SDK, one module"),
    "git": (("edges.git",), "GitPython is one module's business"),
    "github": (("edges.github",), "one SDK, one module"),
    "httpx2": (("edges.anthropic", "testing.crash.lean"), "the SDK's transport, for its errors"),
    "pydantic": (("settings", "admin", "testing"), "parsing happens at the edges of what strangers wrote"),
    "pydantic_core": (("settings", "admin", "testing"), "see pydantic"),
    "pydantic_settings": (("settings",), "settings are read in one place"),
    "markdown_it": (("testing.github.pages",), "the simulated GitHub shows pages to people"),
    "rich": (("cli", "testing"), "only commands speak to people"),
    "structlog": (("edges.log",), "one module knows how a log line looks"),
    "tenacity": (("edges.anthropic",), "calls to the model are what is tried again"),
    "typer": (("cli",), "commands, and nothing else, know the command line"),
}

# Loading these loads the standard library only, however far their imports reach: `status --json`, `run`,
# `wake`, `stop` and an idle cycle take as long as the interpreter, not as long as an SDK.
LIGHT = (
    *(
        "__main__",
        "compiled",
        "cycle",
        "hooked",
        "light",
        "lightstatus",
        "ports",
        "supervision",
        "supervisor",
    ),
    *(*CORE, *TOOLBOX),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One import: of which module, on which line, and whether loading the importer carries it out."""

    target: str
    line: int
    on_load: bool


Modules: TypeAlias = dict[str, tuple[Path, list[Import]]]


def _name_of(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def _imports(node: ast.AST, known: set[str], *, on_load: bool = True) -> list[Import]:
    match node:
        case ast.Import():
            return [Import(target=name.name, line=node.lineno, on_load=on_load) for name in node.names]
        case ast.ImportFrom():
            base = "." * node.level + (node.module or "")
            names = [f"{base}.{name.name}" for name in node.names]
            targets = dict.fromkeys(name if name in known else base for name in names)
            return [Import(target=target, line=node.lineno, on_load=on_load) for target in targets]
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
            on_load = False
        case ast.If() if _is_type_checking(node):
            later = [found for child in node.body for found in _imports(child, known, on_load=False)]
            return later + [
                found for child in node.orelse for found in _imports(child, known, on_load=on_load)
            ]
    return [
        found for child in ast.iter_child_nodes(node) for found in _imports(child, known, on_load=on_load)
    ]


def _sources(root: Path) -> list[Path]:
    # The demo's repository is data: a project that somebody else could have written.
    data = root / PACKAGE / "testing/demo/repository"
    return [path for path in (root / PACKAGE).rglob("*.py") if not path.is_relative_to(data)]


def read(root: Path) -> Modules:
    """Every module of the package under `root`, by name, with its file and its imports.

    Raises SyntaxError for a file that is not Python.
    """
    paths = {_name_of(path, root): path for path in sorted(_sources(root))}
    known = set(paths)
    return {
        name: (path, _imports(ast.parse(path.read_text(encoding="utf-8"), filename=str(path)), known))
        for name, path in paths.items()
    }


def _within(module: str, layer: str) -> bool:
    """Whether `module` is the layer or lies in it; both without the package's name in front."""
    return layer in {"", PACKAGE} or module == layer or module.startswith(f"{layer}.")


def _layer_of(module: str) -> str:
    return max((layer for layer in ARROWS if _within(module, layer)), key=len)


def _inside(name: str) -> str | None:
    """The name without the package in front; None for a module of somebody else."""
    if name == PACKAGE:
        return ""
    return name.removeprefix(f"{PACKAGE}.") if name.startswith(f"{PACKAGE}.") else None


def _objection(importer: str, target: str) -> str | None:
    """Why `importer` (without the package's name) may not import `target` (in full); None when it may."""
    inside = _inside(target)
    vendor = target.split(".", maxsplit=1)[0]
    if target.startswith("."):
        return "a relative import: say where it is from"
    if inside is None:
        if vendor in sys.stdlib_module_names:
            return None
        owners, why = VENDORS.get(vendor, ((), "a vendor needs an owner in scripts/directions.py"))
        return None if any(_within(importer, owner) for owner in owners) else why
    layer = _layer_of(importer)
    allowed, why = ARROWS[layer]
    if inside == "" or (layer and _within(inside, layer)) or any(_within(inside, each) for each in allowed):
        return None
    return why


def bad_arrows(modules: Modules) -> list[str]:
    """One line for each import that ARROWS or VENDORS does not allow."""
    return [
        f"{path}:{found.line} {name} imports {found.target}: {why}"
        for name, (path, imports) in modules.items()
        for found in imports
        if (why := _objection(_inside(name) or "", found.target)) is not None
    ]


def _loads(name: str, modules: Modules) -> list[str]:
    """The modules of ours that loading `name` loads first: its imports, and the packages around them."""
    targets = [found.target for found in modules[name][1] if found.on_load]
    around = [
        ".".join(target.split(".")[:end]) for target in targets for end in range(1, target.count(".") + 1)
    ]
    return [target for target in dict.fromkeys(around + targets) if target in modules]


def cycles(modules: Modules) -> list[str]:
    """One line for each ring of modules that import each other on loading."""
    arrows = {
        name: {
            found.target
            for found in imports
            if found.on_load and found.target in modules and found.target != name
        }
        for name, (_, imports) in modules.items()
    }
    while leaves := [name for name, targets in arrows.items() if not targets & arrows.keys()]:
        for leaf in leaves:
            del arrows[leaf]
    rings: dict[frozenset[str], list[str]] = {}
    for start in arrows:
        ring = [start]
        while (following := min(arrows[ring[-1]] & arrows.keys())) not in ring:
            ring.append(following)
        ring = ring[ring.index(following) :]
        rings.setdefault(frozenset(ring), ring)
    return [f"import cycle: {' -> '.join([*ring, ring[0]])}" for ring in rings.values()]


def heavy_paths(modules: Modules) -> list[str]:
    """One line for each vendor that loading a light module loads, with the way to it."""
    lines = []
    for start in (name for name in modules if any(_within(_inside(name) or "-", light) for light in LIGHT)):
        came_from = {start: ""}
        waiting = [start]
        while waiting:
            name = waiting.pop()
            for vendor in _vendors(modules[name][1]):
                way = _way(name, came_from)
                lines.append(
                    f"{modules[start][0]}: loading {start} loads {vendor} by way of {way}; keep it light"
                )
            for following in _loads(name, modules):
                if following not in came_from:
                    came_from[following] = name
                    waiting.append(following)
    return lines


def _vendors(imports: list[Import]) -> list[str]:
    heads = dict.fromkeys(found.target.split(".")[0] for found in imports if found.on_load)
    return [head for head in heads if head and head != PACKAGE and head not in sys.stdlib_module_names]


def _way(name: str, came_from: dict[str, str]) -> str:
    way = [name]
    while came_from[way[0]]:
        way.insert(0, came_from[way[0]])
    return " -> ".join(way)


def main(root: Path) -> int:
    """Print every objection and return 1, or say that there is none and return 0."""
    try:
        modules = read(root)
    except SyntaxError as error:
        print(f"{error.filename}:{error.lineno} cannot be read: {error.msg}")
        return 1
    found = [*bad_arrows(modules), *cycles(modules), *heavy_paths(modules)]
    for line in found:
        print(line)
    arrows = sum(len(imports) for _, imports in modules.values())
    print(f"{len(modules)} modules, {arrows} imports, {len(found)} refused")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "src")))
