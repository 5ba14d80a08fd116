"""The crash harness: the whole story with real processes, one of which is struck at a chosen system call.

It ships with the package, beside the simulator and the demo, because it is made of the same doubles and
because whoever writes a tracker, a forge or a worker of their own can put it through the same.
"""
