"""Fixtures of other folders that commands are tested with too."""

from __future__ import annotations

from tests.unit.doctor.conftest import bare_host

__all__ = ["bare_host"]
