"""The commands a person types. typer and rich are imported here and nowhere else."""
