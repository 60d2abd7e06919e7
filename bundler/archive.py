"""One file for one model or bundle, to carry it from store to store.

A tar, manifest first, then the files in the order of their paths; times, owners and the order of writing
leave no trace, so that equal content makes equal bytes. `archive_writing` makes it, `archive_reading` takes
it. Here is what both must agree in.
"""

from __future__ import annotations

MAX_MANIFEST_BYTES = 16 * 1024 * 1024
MAX_BESIDE_BYTES = 1024 * 1024
"""Of a file that no manifest names."""
