# SPDX-License-Identifier: Apache-2.0
"""`humanz`, the tool for people."""
