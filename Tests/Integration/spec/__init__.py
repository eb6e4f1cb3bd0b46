# SPDX-License-Identifier: Apache-2.0
"""What the CNI specification requires, and invalid input."""
