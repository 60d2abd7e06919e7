"""One kind of file each: what it asks for, as `Needs`."""
