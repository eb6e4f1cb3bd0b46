"""What the CNI specification asks, and input that it does not allow."""
