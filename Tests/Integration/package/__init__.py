"""The package: its modules, what it asks of a machine, and its compiler."""
