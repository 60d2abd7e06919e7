"""Numbers of rows for libraries that compile for each."""

from __future__ import annotations

SIZES = (1, 2, 4, 8, 16, 32, 64)
"""Batches between are filled up: seven programs, which are compiled before anybody waits."""
