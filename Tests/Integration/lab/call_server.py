# SPDX-License-Identifier: Apache-2.0
"""Calls plugins on a node, one after the other, for a test that makes thousands of calls: it runs there, and
entering the node once is enough.

    call_server.py POD <CALLS >ANSWERS

A call is a line of JSON, `{"plugin": PATH, "environment": {…}, "size": N}`, and behind it N bytes for stdin.
Instead of a plugin it may be `{"run": [WORD, …]}`, or `{}` for nothing. The answer is a line: how the program ended,
its duration and processor time, what it printed, and the state of node and pod after it. POD is a network namespace.
"""

import json
import os
import pathlib
import resource
import subprocess
import sys
import time


def links(process):
    """The links of a process's network namespace."""
    lines = pathlib.Path(f"/proc/{process}/net/dev").read_text().splitlines()[2:]
    return sorted(line.split(":")[0].strip() for line in lines)


def routes(process):
    """Destinations and next hops, without the IPv6 routes that the kernel makes and removes by itself."""
    found = [" ".join(line.split()[:3] + line.split()[7:8])
             for line in pathlib.Path(f"/proc/{process}/net/route").read_text().splitlines()[1:]]
    path = pathlib.Path(f"/proc/{process}/net/ipv6_route")
    for line in path.read_text().splitlines() if path.exists() else []:
        words = line.split()
        if not words[0].startswith(("fe80", "ff")) and words[9] != "lo":
            found.append(f"{words[0]}/{words[1]} {words[4]} {words[9]}")
    return sorted(set(found))


def files():
    """The files of leases and attachments."""
    found = []
    for store in ("/run/humanz", "/var/lib/cni"):
        for folder, _, names in os.walk(store):
            found += [f"{folder}/{name}" for name in names
                      if not name.startswith((".", "last_reserved_ip")) and "lock" not in name]
    return sorted(found)


def state(pod):
    return {"links": links("self"), "routes": routes("self"), "files": files(),
            "pod's links": links(pod), "pod's routes": routes(pod)}


def processor():
    """The processor time of the children that have ended, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def call(words, environment, stdin):
    start, used = time.monotonic(), processor()
    process = subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
    try:
        printed, errors = process.communicate(stdin, 60)
    except subprocess.TimeoutExpired:
        process.kill()
        printed, errors = process.communicate()
    return {"status": process.returncode, "seconds": time.monotonic() - start, "processor": processor() - used,
            "stdout": printed.decode("latin-1"), "stderr": errors.decode("latin-1")}


def main():
    pod = subprocess.Popen(["ip", "netns", "exec", sys.argv[1], "sleep", "infinity"])
    own = os.stat("/proc/self/ns/net").st_ino
    while os.stat(f"/proc/{pod.pid}/ns/net").st_ino == own:
        time.sleep(0.01)
    path = {name: os.environ[name] for name in ("PATH", "CNI_PATH") if name in os.environ}
    while line := sys.stdin.buffer.readline():
        request = json.loads(line)
        answer = {}
        if "run" in request:
            answer = call(request["run"], dict(os.environ), b"")
        elif "plugin" in request:
            answer = call([request["plugin"]], path | request["environment"],
                          sys.stdin.buffer.read(request["size"]))
        print(json.dumps(answer | {"state": state(pod.pid)}), flush=True)
    pod.kill()
    pod.wait()


if __name__ == "__main__":
    main()
