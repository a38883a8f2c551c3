"""Hallo's runner: what drives upstream's networks, and what stands in for their weights."""
