"""Calling a served bundle from Python: `tiffin.Client`, `tiffin.AsyncClient`."""
