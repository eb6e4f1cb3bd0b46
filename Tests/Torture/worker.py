# SPDX-License-Identifier: Apache-2.0
"""Runs inside a node: reads tasks, each a line of JSON, and answers each with a line.

    worker.py FAULT-PROGRAM
"""

import dataclasses
import json
import pathlib
import sys
import traceback

_TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[0:1] = [str(_TESTS), str(_TESTS / "Integration")]

from Torture import load, long, trials  # noqa: E402
from Torture.faults import Faults  # noqa: E402
from Torture.place import Place  # noqa: E402


def main(program):
    place, faults = Place(), Faults(program)
    for line in sys.stdin:
        task = json.loads(line)
        try:
            if task["part"] == "load":
                rows = load.run(place, **task)
            elif task["part"] == "long":
                rows = long.run(place, **task)
            else:
                rows = trials.run(place, faults, **task)
            answer = {"rows": [dataclasses.asdict(row) for row in rows]}
        except Exception:
            answer = {"failed": traceback.format_exc()}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
