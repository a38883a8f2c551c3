"""What the folders below `docker/` say of networks: needs, settings, bases, patches."""
