# SPDX-License-Identifier: Apache-2.0
"""What the CNI specification asks, and input that it does not allow."""
