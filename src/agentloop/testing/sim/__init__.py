"""The real cycle and its rules under a virtual clock, in a world in memory that goes wrong on purpose.

`Simulation` plays weeks of it from a seed; `agentloop.testing.sim.__main__` looks for broken promises, and
`forecast` tells a person what their settings would do in an ordinary week.
"""
