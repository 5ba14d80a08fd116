"""GitHub as tracker and forge: the one place that knows its API.

client.py    conditional reads and limits; standard library only, shared with the supervisor's probe
shelf.py     what the last looks brought, so that a look reads only what changed; may be deleted
marks.py     how our own words are told from everybody else's
writing.py   the writes, by PyGithub
tracker.py   issues
forge.py     branches and pull requests
"""
