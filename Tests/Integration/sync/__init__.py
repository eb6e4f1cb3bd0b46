"""Kubernetes' nodes made into the cluster file and the routes."""
