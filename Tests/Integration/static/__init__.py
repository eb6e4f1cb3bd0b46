"""The programs as files: what they need of a machine, and the same for arm64."""
