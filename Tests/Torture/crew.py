# SPDX-License-Identifier: Apache-2.0
"""Nodes that work at the same time, each with a worker process, and the tasks that they share."""

import json
import os
import pathlib
import queue
import subprocess
import sys
import tempfile
import threading

from lab.isolated_node import Node
from Torture import faults
from Torture.rows import Row
from Torture.subjects import SUBJECTS
from Torture.trials import SITUATIONS

_WORKER = pathlib.Path(__file__).with_name("worker.py")

# Into how many tasks the tries of a verb are cut. Each begins with runs without a fault.
_SHARES = 2


def trial_tasks(part, every=1, subjects=tuple(SUBJECTS), verbs=tuple(SITUATIONS), errors=faults.ERRORS, seed=1):
    """The tasks of `killed` or `fails`: for each verb in each situation, one in `every` tries."""
    return [
        {"part": part, "subject": subject, "verb": verb, "situation": situation, "first": share * every,
         "every": every * shares, "errors": list(errors), "seed": seed}
        for subject in subjects for verb in verbs for situation in SITUATIONS[verb]
        for shares in [1 if every > 1 else _SHARES] for share in range(shares)]


class Crew:
    """Workers that share the tasks."""

    def __init__(self, size=None):
        # Most of a try is waiting for the kernel to delete links and namespaces.
        self.size = size or 2 * (os.cpu_count() or 1) + 2
        self.tasks, self.rows = queue.SimpleQueue(), []

    def run(self, tasks, progress=lambda done, count: None):
        """Runs all tasks; returns their rows, each with its situation. `progress` is called after each task."""
        for task in tasks:
            self.tasks.put(task)
        self.count, self.progress, self.done = len(tasks), progress, 0
        with tempfile.TemporaryDirectory() as folder:
            makes_faults = any("verb" in task for task in tasks)
            program = faults.build(folder) if makes_faults else "none"
            threads = [threading.Thread(target=self._work, args=(number, program))
                       for number in range(min(self.size, len(tasks)))]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        if not self.tasks.empty():
            self._add_not_run("worker", f"{self.tasks.qsize()} tasks were left")
        return self.rows

    def _work(self, number, program):
        try:
            with Node(f"torture{number}") as node:
                worker = node.start(sys.executable, _WORKER, program, stdin=subprocess.PIPE,
                                    stdout=subprocess.PIPE, text=True)
                with worker:
                    while self._hand_out(worker):
                        pass
        except Exception as exception:
            self._add_not_run("worker", f"{type(exception).__name__}: {exception}")

    def _hand_out(self, worker):
        """Gives a worker a task and waits for its end; returns whether there was a task."""
        try:
            task = self.tasks.get_nowait()
        except queue.Empty:
            worker.stdin.close()
            return False
        worker.stdin.write(json.dumps(task) + "\n")
        worker.stdin.flush()
        line = worker.stdout.readline()
        answer = json.loads(line) if line else {"failed": "its worker has ended"}
        name = " ".join(str(task[key]) for key in ("part", "subject", "verb", "situation") if key in task)
        if "failed" in answer:
            self._add_not_run(task["part"], f"{name}: {answer['failed']}")
        self.rows += [(Row(**row), task.get("situation")) for row in answer.get("rows", [])]
        self.done += 1
        self.progress(self.done, self.count)
        return bool(line)

    def _add_not_run(self, part, what):
        """Adds a row for what was to be tried and was not."""
        row = Row(part, "not run")
        row.add(what, [what])
        self.rows.append((row, None))
