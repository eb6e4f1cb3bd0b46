# SPDX-License-Identifier: Apache-2.0
"""humanz-route on one node and on several, alone and beside routing daemons."""
