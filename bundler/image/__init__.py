"""From a bundle to an image: the base, the Dockerfile, the context."""
