# SPDX-License-Identifier: Apache-2.0
"""Kubernetes' nodes made into the cluster file and the routes."""
