"""What the rooms of tests share: nodes, plugins, clusters, traffic, runtimes."""
