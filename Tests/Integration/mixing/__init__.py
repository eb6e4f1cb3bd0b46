"""Our plugins among the reference plugins, in every place."""
