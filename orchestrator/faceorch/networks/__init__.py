"""Reads the networks' folders below `docker/`: needs, settings, bases, patches."""
