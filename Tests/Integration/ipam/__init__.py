# SPDX-License-Identifier: Apache-2.0
"""humanz-ipam alone: its store, its keys, and the change from host-local and back."""
