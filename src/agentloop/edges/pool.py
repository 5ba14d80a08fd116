"""How many slots there should be, and whether anything is to be done: asked at the end of a cycle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentloop.domain.valueclass import dataclass
from agentloop.edges.processes import boot_id
from agentloop.edges.slots import Slots, Wanted, read_stand

if TYPE_CHECKING:
    from pathlib import Path

    from agentloop.domain.settings import Settings, Target
    from agentloop.home import Home


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """The slots of one target, sorted by their use: at the tip, one difference away from it, of no use."""

    good: tuple[Path, ...]
    behind: tuple[Path, ...]
    useless: tuple[Path, ...]


class Pool:
    """The slots of a home under its settings."""

    def __init__(self, home: Home, settings: Settings) -> None:
        self.slots = Slots(home)
        self._home = home
        self._settings = settings

    def is_due(self) -> bool:
        """Return whether slots are to be made or taken away, begun or not, or the trash is to be emptied."""
        left = self.slots.trash() or self.slots.unfinished() or self.strangers()
        return bool(left) or any(
            self.is_lacking(target) or self.surplus(target) for target in self._settings.targets
        )

    def is_lacking(self, target: Target) -> bool:
        """Return whether one more slot is to be made for `target`; not when that was found impossible."""
        tip = self.slots.tip(target.name)
        if not tip or self.slots.unmade(target.name)[0] == self.key(target):
            return False
        return len(self.stock(target).good) < self._settings.worker.ready_trees

    def surplus(self, target: Target) -> tuple[Path, ...]:
        """Return the slots of `target` that are too many or of no use."""
        stock = self.stock(target)
        most = self._settings.worker.ready_trees
        return (*stock.useless, *(*stock.good, *stock.behind)[most:])

    def strangers(self) -> tuple[Path, ...]:
        """Return the slots of targets that are in the settings no more, a folder each."""
        known = {target.name for target in self._settings.targets}
        try:
            return tuple(path for path in self._home.slots.iterdir() if path.name not in known)
        except OSError:
            return ()

    def stock(self, target: Target) -> Stock:
        """Return the slots of `target`, sorted by their use."""
        wanted = self.wanted(target)
        found: dict[str, list[Path]] = {"good": [], "behind": [], "useless": []}
        for slot in self.slots.ready(target.name):
            stand = read_stand(slot)
            fits = stand is not None and wanted.fits(stand)
            at_tip = fits and slot.name.startswith(f"{wanted.commit}-")
            found["good" if at_tip else "behind" if fits else "useless"].append(slot)
        return Stock(**{name: tuple(paths) for name, paths in found.items()})

    def wanted(self, target: Target) -> Wanted:
        """Return what a slot of `target` has to be now."""
        return Wanted(
            commit=self.slots.tip(target.name),
            mirror=str(self._home.mirror_of(target.name)),
            sandbox=self._settings.worker.sandbox,
        )

    def key(self, target: Target) -> str:
        """Return what would have to change before an attempt to make a slot is worth being repeated."""
        worker = self._settings.worker
        return f"{self.slots.tip(target.name)} {worker.ready_mb} {worker.sandbox} {boot_id()}"

    def bytes(self) -> int:
        """Return what all slots that are ready take of the disk, about."""
        places = (slot for target in self._settings.targets for slot in self.slots.ready(target.name))
        return sum(stand.bytes for stand in map(read_stand, places) if stand is not None)
