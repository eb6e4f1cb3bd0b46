# SPDX-License-Identifier: Apache-2.0
"""The package: its modules, what it asks of a machine, and its compiler."""
