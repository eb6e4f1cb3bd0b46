# SPDX-License-Identifier: Apache-2.0
"""`make test-packages` runs this folder: it needs the packages in dist/, and a clean Debian from debootstrap."""

import os

import pytest


def pytest_collection_modifyitems(items):
    if not os.environ.get("HUMANZ_TEST_PACKAGES"):
        skip = pytest.mark.skip(reason="needs packages and debootstrap; make test-packages runs it")
        for item in items:
            if "/packages/" in str(item.path):
                item.add_marker(skip)
