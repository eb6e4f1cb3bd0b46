"""The three stages together: the shipped files, and what a call may cost."""
