"""What a bundle needs from package indexes: read, inferred, packed, locked."""
