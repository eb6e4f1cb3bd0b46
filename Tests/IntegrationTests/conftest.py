import pytest

from isolated_node import Node


@pytest.fixture
def node():
    with Node("node") as node:
        yield node
