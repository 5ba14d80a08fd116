"""A supervised cycle loop: an issue goes in, a pull request comes out."""

from __future__ import annotations

__version__ = "0.1.0"
