# SPDX-License-Identifier: Apache-2.0
"""Kills a verb, or fails one of its system calls, at each call in turn; then does what a runtime does, and compares
what is left."""

import functools
import random
import re
import time

from lab.waiting import eventually, patience
from Torture.faults import ERRORS
from Torture.place import settled
from Torture.rows import Row
from Torture.subjects import OTHER, POD, Subject

# The state in which a verb is called: without a pod, with its pod alone, or with another pod too.
SITUATIONS = {
    "ADD": ["cold", "warm"], "DEL": ["cold", "alone", "warm"], "CHECK": ["cold", "warm"],
    "GC": ["cold", "alone", "warm"], "STATUS": ["cold", "warm"],
}

# What a runtime does after a kill: with prevResult or not, with the namespace or after it is gone.
AFTERMATHS = [("DEL", True, True), ("DEL", False, True), ("DEL", True, False), ("DEL", False, False),
              ("GC", False, True)]

# No ADD fails for this setting, by which a link keeps its addresses while it is down. A failed ADD does not undo
# it, nor the node's forwarding.
_BEST_EFFORT = re.compile(r"pod [^ ]+ sysctl ipv6/conf/eth0/keep_addr_on_down")
_NOT_UNDONE = re.compile(rf"sysctl ipv./(ip_forward|conf/[^/]+/forwarding)|{_BEST_EFFORT.pattern}")

# In seconds: a verb that takes longer hangs.
LIMIT = 5


class Trial:
    """One verb of a subject in a situation, and the states of a run without a fault."""

    def __init__(self, place, faults, subject, verb, situation):
        self.place, self.faults, self.verb = place, faults, verb
        self.subject = Subject(place, subject)
        self.keep = [OTHER] if situation == "warm" else []
        self.is_attached = verb in ("DEL", "CHECK", "GC") and situation != "cold"
        # The states, with the aftermath that left each, in which a pod's next life cycle was right.
        self.tried_states = set()
        self.rehearse()

    # Bases

    def build(self):
        """Makes a new node in the state before the verb."""
        self.place.renew()
        for pod in [*self.keep, POD]:
            self.place.add_pod(pod)
            self.prepared = self.subject.prepare(pod)
            if pod == OTHER:
                self.subject.run("ADD", pod, self.prepared)
            self.port = next((interface["name"] for interface in (self.prepared or {}).get("interfaces", [])
                              if interface["name"].startswith("veth")), None)
        self.notes = self.place.notes()
        self.bare = self.base = self.place.calm_state()
        if self.is_attached:
            self.subject.run("ADD", POD, self.prepared)
            self.base = self.place.calm_state()

    def restore(self):
        """Restores the state before the verb in the fastest way."""
        if not self.place.has_pod(POD):
            if self.subject.before:
                return self.build()
            self.place.add_pod(POD)
        state = self.place.state()
        if state == self.base:
            if not self.is_attached:
                self.place.restore_notes(self.notes)
        elif state in (self.bare, self.emptied):
            self.place.restore_notes(self.notes)
            self.subject.run("ADD", POD, self.prepared)
        else:
            self.build()

    # Clean runs

    def rehearse(self):
        self.build()
        self.result, self.emptied = self.prepared, None
        if self.is_attached:
            self.subject.run("DEL", POD)
            # What a deleted pod leaves, as the bridge: an ADD makes the base of it too.
            self.emptied = self.place.calm_state()
            self.place.restore_notes(self.notes)
        self.result = self.subject.run("ADD", POD, self.prepared)
        # A plugin that waits for the kernel asks it a varying number of times: the shortest run asks least.
        runs = [self.listed() for _ in range(3)]
        self.points = min(runs, key=len)

    def listed(self):
        """The system calls of a run without a fault; keeps the state after each stage."""
        self.build()
        points, self.steps, self.succeeds = [], [self.base], True
        result = self.given()
        for number, stage in enumerate(self.subject.order(self.verb)):
            ended = self.subject.run_stage(stage, self.verb, result=result, keep=self.keep,
                                     under=self.faults.listing)
            points += [(number, point) for point in self.faults.listed()]
            self.steps.append(self.place.calm_state())
            if ended.status:
                ended.error
                self.succeeds = False
                break
            result = ended.json if self.verb == "ADD" else result
        return points

    def given(self):
        """What the verb's first stage is given as prevResult."""
        return self.prepared if self.verb == "ADD" else self.result

    @functools.cache
    def end_states(self, aftermath):
        """The two states in which an aftermath may end: as if the verb had not run, and as if it had run to its
        end. Then the same two after one more life cycle of the pod."""
        states = []
        for is_performed in (False, True):
            self.build()
            if is_performed:
                self.perform()
            self.recover(aftermath)
            states.append(self.place.calm_state())
            if self.can_run_life_cycle:
                self.run_life_cycle()
            states.append(self.place.calm_state())
        return states[::2], states[1::2]

    def perform(self):
        """The verb, without a fault."""
        result = self.given()
        for stage in self.subject.order(self.verb):
            ended = self.subject.run_stage(stage, self.verb, result=result, keep=self.keep)
            if ended.status and not self.succeeds:
                return
            result = ended.succeeded().json if self.verb == "ADD" else result

    @property
    def can_run_life_cycle(self):
        """Whether `run_life_cycle` is possible: not if the stages before would have to run again."""
        return self.place.has_pod(POD) or not self.subject.before

    def recover(self, aftermath):
        """Does what a runtime does after a kill; all of it must succeed."""
        verb, has_result, has_namespace = aftermath
        if not has_namespace:
            self.place.remove_pod(POD)
            if self.subject.before:
                # The links of stages that are not called go with the namespace, in the kernel's own time.
                eventually(lambda: not self.place.has_link(self.port), 10, "the end of the pod's link")
        self.subject.run(verb, POD, self.result if has_result else None, keep=self.keep,
                         **({} if has_namespace else {"namespace": ""}))

    def run_life_cycle(self):
        """ADD, CHECK and DEL of the pod once more."""
        if not self.place.has_pod(POD):
            self.place.add_pod(POD)
        result = self.subject.run("ADD", POD, self.prepared)
        self.subject.run("CHECK", POD, result)
        self.subject.run("DEL", POD, result)

    # Tries

    def run_with_fault(self, number, point, error=None):
        """The verb with the fault in one of its stages; returns how that stage ended."""
        result, faulty = self.given(), None
        for place, stage in enumerate(self.subject.order(self.verb)):
            under = self.faults.at(point, error) if place == number else ()
            start = time.monotonic()
            ended = self.subject.run_stage(stage, self.verb, result=result, keep=self.keep, under=under)
            if place == number:
                assert time.monotonic() - start < patience(LIMIT), f"it took {time.monotonic() - start:.1f} s"
                if not self.faults.was_reached():
                    raise Missed
                faulty = ended
            if ended.status:
                assert place == number or not self.succeeds, f"stage {place + 1} failed after it: {ended}"
                return faulty
            result = ended.json if self.verb == "ADD" else result
        return faulty

    def killed(self, number, point, aftermath):
        """Kills the verb and recovers; returns what is wrong then."""
        self.end_states(aftermath)
        self.restore()
        self.run_with_fault(number, point)
        return self.recovered(aftermath)

    def recovered(self, aftermath):
        """Does an aftermath; returns what is wrong then."""
        ends, later_ends = self.end_states(aftermath)
        self.recover(aftermath)
        state, wrong = settled(self.place, *ends, may_be_half_made=True)
        left = (aftermath, frozenset(state.items()))
        if not wrong and self.can_run_life_cycle and state not in ends and left not in self.tried_states:
            # A state that no call without a fault leaves: the next calls must work in it.
            self.tried_states.add(left)
            self.run_life_cycle()
            wrong = settled(self.place, *later_ends)[1]
        return wrong

    def failed(self, number, point, error):
        """Fails a system call; returns what is wrong then."""
        aftermath = ("DEL", False, True)
        if self.verb == "ADD":
            after = self.end_states(aftermath)[0][1]
        self.restore()
        ended = self.run_with_fault(number, point, error)
        if ended.status == 0:
            wrong = [] if self.succeeds else ["it succeeded"]
            wrong += settled(self.place, self.steps[-1], self.steps[-1], wrong_of=self.missing)[1]
        else:
            if point.name in ("write", "writev") and not ended.stdout and ended.status < 128:
                assert ended.stderr, "an error that cannot be printed is not on stderr"
            else:
                assert ended.error["code"] != 105, f"a trap: {ended}"
            before = self.steps[number]
            if self.verb == "ADD":
                # What an attachment leaves on the node when it is deleted, a failed one may leave too.
                wrong = settled(self.place, before, {**before, **after}, may_be_half_made=True, wrong_of=_undoable)[1]
            elif self.verb in ("DEL", "GC"):
                wrong = settled(self.place, before, self.steps[number + 1], may_be_half_made=True)[1]
                self.perform()
                wrong += settled(self.place, self.steps[-1], self.steps[-1])[1]
            else:
                wrong = settled(self.place, before, before)[1]
        return wrong + (self.recovered(aftermath) if self.verb == "ADD" else [])

    def missing(self, differences):
        """What is wrong after an ADD that succeeded: a peer's route may be missing, and then CHECK says so."""
        differences = [difference for difference in differences if not _BEST_EFFORT.match(difference)]
        if self.verb != "ADD" or any(difference.startswith("pod ") for difference in differences):
            return differences
        for stage in self.subject.stages:
            if differences and stage.plugin == "humanz-route":
                result = self.result
                if self.subject.run_stage(stage, "CHECK", POD, result).status:
                    return []
        return differences


def _undoable(differences):
    """Those of the differences that a failed ADD undoes."""
    return [difference for difference in differences if not _NOT_UNDONE.match(difference)]


class Missed(Exception):
    """A run of the verb did not reach the system call: a plugin that waits for the kernel makes a varying number of
    calls."""


def tries(trial, part, errors=ERRORS):
    """All tries of a part: a name, and the function that gives what is wrong after it."""
    for number, point in trial.points:
        stage = trial.subject.order(trial.verb)[number].plugin
        if part == "killed":
            for aftermath in AFTERMATHS:
                verb, has_result, has_namespace = aftermath
                words = [verb, *["prevResult"] * has_result, *["no namespace"] * (not has_namespace)]
                yield (f"{stage} killed at {point}, then {' '.join(words)}",
                       functools.partial(trial.killed, number, point, aftermath))
        elif point.may_fail:
            for error in errors:
                yield (f"{stage}: {error} of {point}",
                       functools.partial(trial.failed, number, point, error))


def run(place, faults, subject, verb, situation, part, first=0, every=1, errors=ERRORS, seed=1):
    """Every so many of the tries from one on, in a random order; returns a row of the table."""
    trial = Trial(place, faults, subject, verb, situation)
    attempts = list(tries(trial, part, errors))
    random.Random(seed).shuffle(attempts)
    row = Row(part, subject, verb, len(trial.points))
    for name, attempt in attempts[first::every]:
        try:
            row.add(f"{subject} {verb} {situation}: {name}", _repeated(trial, attempt))
        except Missed:
            row.missed += 1
    return [row]


def _repeated(trial, attempt):
    """Makes a try, again if it misses its call; returns what is wrong then."""
    try:
        for _ in range(2):
            try:
                return _cleaned(trial, attempt())
            except Missed:
                trial.build()
        return _cleaned(trial, attempt())
    except Missed:
        raise
    except Exception as exception:
        return _cleaned(trial, [f"{type(exception).__name__}: {exception}"])


def _cleaned(trial, wrong):
    if wrong:
        trial.build()
    return wrong
