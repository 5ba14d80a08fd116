"""The soak: a real supervisor for an hour, killed every few seconds, with a person who works beside it."""
