"""What builds, pushes and runs images: docker, podman, buildah, nerdctl behind one interface."""
