# SPDX-License-Identifier: Apache-2.0
"""The packages and the README's commands, on machines with only a distribution's own files."""
