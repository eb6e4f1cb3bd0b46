"""The chain under podman and containerd."""
