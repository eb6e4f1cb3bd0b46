# SPDX-License-Identifier: Apache-2.0
"""The package: its modules, the packages that it needs, and its compiler."""
