"""humanz-bridge alone, with and without an IPAM delegate."""
