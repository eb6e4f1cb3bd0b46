# SPDX-License-Identifier: Apache-2.0
"""The packages and the README's commands, on machines that have nothing but a distribution's own."""
