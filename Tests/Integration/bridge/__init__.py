# SPDX-License-Identifier: Apache-2.0
"""humanz-bridge alone, with and without an IPAM delegate."""
