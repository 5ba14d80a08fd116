"""The demo: a whole story on screen, in a temporary folder. `python -m agentloop.testing.demo --help`.

__main__   the command line, signals, exit code
narrator   the story, told from the journal's facts as they are written
screen     how it looks
stage      the temporary folder, its processes, and their end
"""
