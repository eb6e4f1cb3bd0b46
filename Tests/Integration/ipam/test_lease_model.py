# SPDX-License-Identifier: Apache-2.0
"""The model of the lease store: its invariants hold in a small store, and spin finds mistakes in the protocol.

`make model` checks larger stores. Each mistake leaves out or moves one step of the protocol: spin must report it.
"""

import importlib.util
import pathlib
import subprocess
import sys

import pytest

CHECK = pathlib.Path(__file__).resolve().parents[3] / "Documentation/lease-store/check.py"
specification = importlib.util.spec_from_file_location("check_lease_store", CHECK)
model = importlib.util.module_from_spec(specification)
sys.modules[specification.name] = model
specification.loader.exec_module(model)

RUNS = {run.name: run for run in model.HOLDS + model.MISTAKES}


def test_the_laws_hold_in_every_state_of_a_small_store_with_kills_and_failing_calls(record_property):
    outcome = model.check(RUNS["a small store"])
    assert outcome.broken is None
    # A partial search would find fewer states.
    assert outcome.states > 100_000
    record_property("states", outcome.states)


@pytest.mark.parametrize("name", [
    "no lock", "lease before its attachment file", "attachment file removed first", "one set given of two"])
def test_spin_finds_a_mistake_in_the_protocol(name):
    run = RUNS[name]
    assert run.breaks is not None
    assert model.check(run).broken == run.breaks


def test_the_check_fails_where_a_run_does_not_end_as_expected(tmp_path):
    for file in CHECK.parent.iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    steps = tmp_path / "steps.pml"
    text = steps.read_text()
    assert "#ifdef NO_LOCK" in text
    steps.write_text(text.replace("#ifdef NO_LOCK", "#ifndef NO_LOCK"))
    done = subprocess.run([sys.executable, tmp_path / "check.py", "a small store"], capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "NOT AS EXPECTED" in done.stdout
