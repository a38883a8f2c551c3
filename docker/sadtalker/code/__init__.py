"""Runs SadTalker frame by frame."""
