# SPDX-License-Identifier: Apache-2.0
"""Our plugins combined with the reference plugins, as stages and as delegates."""
