"""Settings from files and environment to one validated value.

sources.py     which files and variables there are; light, also says whether compiled settings are fresh
problems.py    what is wrong with a setting, as data
trees.py       settings as written, looked into by key
toml_lines.py  where a key stands in a TOML file
schema.py      pydantic: shapes, types and bounds, made from the fields in `domain/settings.py`
rules.py       what shapes cannot say about one text: names, branches, globs, URLs
crosswise.py   what settings must not be together
ownership.py   a home that works on itself
loading.py     precedence and origins: the one way to get `Settings`
compiling.py   what the compiling child does
reference.py   docs/settings.md and a new agentloop.toml, from the same fields
"""
