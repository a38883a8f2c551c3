"""Weights: a manifest per network, one content-addressed store, verified downloads (docs/guide/weights.md)."""
