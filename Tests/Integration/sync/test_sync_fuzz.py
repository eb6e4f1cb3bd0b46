# SPDX-License-Identifier: Apache-2.0
"""sync with damaged input: it ends with an exit status, and applies the whole input or nothing."""

import json
import random
import subprocess

import pytest

from lab.kubernetes import listed
from lab.tool import PROGRAM
from sync.expected import SYNC, cluster_file, inode, member, sync

ORIGINALS = [
    listed(member(1, images=1), member(2, images=1), member(4, images=1)),
    json.dumps(json.loads(listed(member(1, images=1), member(4, images=1)))),
]


def damaged(text, chance):
    """The text with a piece removed, repeated, changed or moved."""
    data = bytearray(text.encode())
    start = chance.randrange(len(data))
    end = min(len(data), start + chance.choice((1, 1, 1, 2, 10, 1000)))
    piece = data[start:end]
    how = chance.randrange(5)
    if how == 0:
        del data[start:end]
    elif how == 1:
        data[start:start] = piece
    elif how == 2:
        data[start] = chance.randrange(256)
    elif how == 3:
        data[start:start] = chance.choice((b"{", b"}", b"[", b"]", b'"', b"\\", b",", b":", b"\0", b"0"))
    else:
        del data[start:end]
        place = chance.randrange(len(data))
        data[place:place] = piece
    return bytes(data)


@pytest.mark.parametrize("seed", range(4))
def test_damaged_lists_are_applied_whole_or_not_at_all(node1, seed):
    chance = random.Random(seed)
    sync(node1, listed(member(1), member(3)))
    applied = 0
    for _ in range(60):
        before, was = inode(node1), cluster_file(node1)
        text = damaged(chance.choice(ORIGINALS), chance)
        done = subprocess.run(node1.entered(*SYNC), input=text, capture_output=True, timeout=30)
        assert done.returncode in (0, 1), text
        refused = done.stderr.startswith(f"{PROGRAM}: stdin: ".encode())
        # The status is also 1 if the input is applied but a node is left out.
        assert done.returncode == (1 if done.stderr else 0), done
        if refused:
            assert (inode(node1), cluster_file(node1)) == (before, was)
        applied += not refused
    # Damage to a part that sync ignores does no harm; most damage does.
    assert 0 < applied < 60
