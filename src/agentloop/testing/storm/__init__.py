"""The real cycle, in this process, on a simulated GitHub that misbehaves: what holds however it does.

house.py    one home, its people and workers
weather.py  the faults, drawn from a seed
promises.py what must be true after each: once of everything, nothing left open
play.py     a hundred cycles without a change, a hundred with a fault each

`python -m agentloop.testing.storm` (`scripts/check-github`) plays them for several seeds.
"""
