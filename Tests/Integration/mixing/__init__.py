# SPDX-License-Identifier: Apache-2.0
"""Our plugins among the reference plugins, in every place."""
