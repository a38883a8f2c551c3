"""Moves what one picture shows, on the CPU alone."""
