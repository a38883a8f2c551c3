"""Images: recipes and their identity, builders, assembly, Compose."""
