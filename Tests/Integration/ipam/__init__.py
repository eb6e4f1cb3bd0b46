"""humanz-ipam alone: its store, its keys, and the change from host-local and back."""
