# SPDX-License-Identifier: Apache-2.0
"""The keys that the stages know, as the sources list them, and values put in their places."""

import json
import re

from lab.isolated_node import ROOT


def lists():
    """The lists of Stages/StageKeys.swift by name, each with its keys."""
    text = (ROOT / "Sources/Stages/StageKeys.swift").read_text()
    return {name: _words(body) for name, body in re.findall(
        r"static var (\w+): KnownKeys \{\s*KnownKeys\((.*?)\)\s*\}", text, re.DOTALL)}


def known(name):
    """The keys in a list of Stages/StageKeys.swift."""
    return set(lists()[name])


def of_every_plugin():
    text = (ROOT / "Sources/CNI/KnownKeys.swift").read_text()
    body = re.search(r"static var ofEveryPlugin: KnownKeys \{\s*KnownKeys\((.*?)\)\s*\}", text, re.DOTALL)[1]
    return set(_words(body))


def _words(text):
    return re.findall(r"[A-Za-z]\w*", text)


def with_value(configuration, path, value):
    """The configuration with a value at a path such as `ranges[0][0].subnet`."""
    configuration = json.loads(json.dumps(configuration))
    steps = path.replace("]", "").replace("[", ".").split(".")
    place = configuration
    for step, next_step in zip(steps, steps[1:]):
        inner = [] if next_step.isdigit() else {}
        if isinstance(place, list):
            if not place:
                place.append(inner)
            place = place[int(step)]
        else:
            if not place.get(step):
                place[step] = inner
            place = place[step]
    if isinstance(place, list):
        place[:] = [value]
    else:
        place[steps[-1]] = value
    return configuration
