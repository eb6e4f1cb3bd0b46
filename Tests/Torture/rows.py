# SPDX-License-Identifier: Apache-2.0
"""The table of results: what was tried, and what survived."""

from dataclasses import dataclass, field


@dataclass
class Row:
    """The tries of one kind. `calls` is the number of system calls at which to try; `missed` is the number of tries
    that did not reach their call in three runs."""

    part: str
    what: str
    verb: str = ""
    calls: int = 0
    tried: int = 0
    survived: int = 0
    missed: int = 0
    # For each try that did not survive its name, and what was wrong.
    wrong: list = field(default_factory=list)

    def add(self, name, wrong):
        self.tried += 1
        self.survived += not wrong
        if wrong:
            self.wrong.append([name, list(wrong)])

    @property
    def key(self):
        return self.part, self.what, self.verb

    @property
    def survives(self):
        """Whether all tries survived, and at most a tenth of them missed."""
        return 0 < self.tried == self.survived and self.missed <= self.tried / 10


def merged(rows):
    """Merges rows of the same kind. The system calls of a situation, which has many rows, are counted once."""
    table = {}
    for row, situation in rows:
        whole = table.setdefault(row.key, (Row(*row.key), {}))
        whole[1][situation] = row.calls
        whole[0].tried += row.tried
        whole[0].survived += row.survived
        whole[0].missed += row.missed
        whole[0].wrong += row.wrong
    for row, calls in table.values():
        row.calls = sum(calls.values())
    return [row for row, _ in table.values()]


def print_table(rows, seconds):
    """Prints what went wrong, then the table."""
    for row in rows:
        for name, wrong in row.wrong[:20]:
            print(f"\n{row.part}: {name}")
            for difference in wrong[:12]:
                print(f"    {difference[:600]}")
    print(f"\n{'':8}{'':36}{'':8}{'calls':>8}{'missed':>8}{'tried':>8}{'survived':>10}")
    for row in rows:
        mark = "" if row.survives else "  FAILED"
        print(f"{row.part:8}{row.what:36}{row.verb:8}{row.calls or '':>8}{row.missed or '':>8}"
              f"{row.tried:>8}{row.survived:>10}{mark}")
    total = [sum(getattr(row, name) for row in rows) for name in ("missed", "tried", "survived")]
    print(f"{'all':44}{'':8}{total[0] or '':>8}{total[1]:>8}{total[2]:>10}")
    print(f"{seconds / 60:.0f} minutes")
