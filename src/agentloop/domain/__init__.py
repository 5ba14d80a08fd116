"""Values and rules. Imports nothing but the standard library; no clock, no I/O, no logging."""
