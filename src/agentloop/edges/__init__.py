"""One module a vendor or a piece of the machine. Effects live here."""
