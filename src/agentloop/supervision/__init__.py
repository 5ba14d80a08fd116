"""The parts of the thin supervisor, standard library only; `agentloop.supervisor` joins them."""
