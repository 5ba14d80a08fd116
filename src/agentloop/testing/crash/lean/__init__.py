"""Stand-ins for vendors' libraries, for processes of the crash harness alone: this folder is on their path.

Loading the real SDK takes a second of CPU, reads only, and is not what is struck; the calls around it are.
"""
