# SPDX-License-Identifier: Apache-2.0
"""The chain under podman and containerd."""
