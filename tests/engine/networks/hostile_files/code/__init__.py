"""A network that leaves hostile files."""
