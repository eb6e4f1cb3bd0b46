# SPDX-License-Identifier: Apache-2.0
"""The program files: what they need on a machine, on x86-64 and on arm64."""
