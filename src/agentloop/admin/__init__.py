"""The admin agent: briefing in, typed decisions out."""
