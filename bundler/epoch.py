"""The time that files get which have none of their own."""

EPOCH = 315_532_800
"""1980-01-01 in seconds since 1970, the oldest time that a zip can hold. One for all images: with a time of
its own each bundle would have its own layers of dependencies and models."""
