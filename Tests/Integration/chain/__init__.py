# SPDX-License-Identifier: Apache-2.0
"""The three stages together: the shipped conflists, and what a call may cost."""
