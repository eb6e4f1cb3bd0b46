# SPDX-License-Identifier: Apache-2.0
"""What the test folders share: nodes, plugins, clusters, traffic, runtimes."""
