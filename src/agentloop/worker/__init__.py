"""One attempt at a task: the harness, the built-in agent and the sandbox its tools run in."""
