# SPDX-License-Identifier: Apache-2.0
"""A fake IPAM plugin that prints what the test tells it to."""


def fake_ipam(node, *answers, before="true"):
    """Installs an IPAM plugin that prints this answer to ADD, after the command `before`, and appends each verb
    to `/run/calls`."""
    script = node.path("/run/tmp/fake-ipam")
    script.write_text(
        "#!/bin/sh\necho $CNI_COMMAND >>/run/calls\ncat >/dev/null\n"
        f'case $CNI_COMMAND in ADD) {before}; cat /run/answer; exit $(cat /run/status);; esac\n')
    script.chmod(0o755)
    node.path("/run/cni/bin/fake-ipam").symlink_to("/run/tmp/fake-ipam")
    answer(node, *answers)
    return {"type": "fake-ipam"}


def answer(node, text, status=0):
    node.path("/run/answer").write_text(text)
    node.path("/run/status").write_text(str(status))


def calls(node):
    return node.path("/run/calls").read_text().split()
