# SPDX-License-Identifier: Apache-2.0
"""What the rooms of tests share: nodes, plugins, clusters, traffic, runtimes."""
