# SPDX-License-Identifier: Apache-2.0
"""The commands in a document, and the output that it shows for them.

A block of commands begins with ```console and the story that it belongs to; if the story has several machines,
the machine follows. A line that begins with "# " is a command, and the lines after it are its output. In the
output "…" matches anything; alone on a line it matches any number of lines. A ```json block with a story, a
machine and a path is a file that the reader writes there.
"""

import re
from dataclasses import dataclass, field


@dataclass
class Block:
    kind: str
    words: list
    lines: list
    number: int

    @property
    def story(self):
        return self.words[0] if self.words else None

    def commands(self):
        """Each command with the output lines that the document shows."""
        found = []
        for line in self.lines:
            if line.startswith("# "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
        return found

    def type(self, shell):
        """Types the commands as a person does, and compares what they print with what the document shows.

        shell: runs a line, and gives how it ended.
        """
        for command, shown in self.commands():
            done = shell(command)
            assert done.returncode == 0, f"# {command}\n{done.stdout}{done.stderr}"
            # What a command prints does not matter if the document shows nothing.
            if shown:
                assert matches(done.stdout, shown), f"{command} printed\n{done.stdout}"


@dataclass
class Document:
    path: object
    blocks: list = field(default_factory=list)

    def __post_init__(self):
        lines = self.path.read_text().splitlines()
        at = 0
        while at < len(lines):
            if begin := re.match(r"```(\w+)\s*(.*)", lines[at]):
                end = lines.index("```", at)
                self.blocks.append(Block(begin[1], begin[2].split(), lines[at + 1:end], at + 1))
                at = end
            at += 1

    def story(self, *names):
        """The blocks of these stories, in the order of the document."""
        return [block for block in self.blocks if block.story in names]


def matches(printed, shown):
    """Whether the output matches what the document shows."""
    pattern = []
    for line in shown:
        if line.strip() == "…":
            pattern.append(r"(?:.*\n)*?")
        else:
            words = r"\s+".join(re.escape(word).replace("…", ".*") for word in line.split())
            pattern.append(rf"\s*{words}\s*\n")
    text = "".join(f"{line.rstrip()}\n" for line in printed.splitlines())
    return re.fullmatch("".join(pattern), text) is not None
