# SPDX-License-Identifier: Apache-2.0
"""`humanz sync`: Kubernetes' nodes become the cluster file and the routes."""
