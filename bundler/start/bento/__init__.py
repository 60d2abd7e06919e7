"""A project that was written for BentoML: read, carried over, and what could not be."""
