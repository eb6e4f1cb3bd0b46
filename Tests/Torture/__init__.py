# SPDX-License-Identifier: Apache-2.0
"""Torture: every verb killed and failed at every system call, load, and an hour at full speed."""
