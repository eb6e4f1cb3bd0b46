# SPDX-License-Identifier: Apache-2.0
"""The three stages together: the shipped files, and what a call may cost."""
