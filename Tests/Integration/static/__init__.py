# SPDX-License-Identifier: Apache-2.0
"""The programs as files: what they need of a machine, and the same for arm64."""
