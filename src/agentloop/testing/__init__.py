"""Doubles that ship with the package, because users test their prompts and settings with them."""
