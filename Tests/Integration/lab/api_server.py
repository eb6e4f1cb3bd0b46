# SPDX-License-Identifier: Apache-2.0
"""The part of a Kubernetes API server that kubectl needs to list and watch nodes.

It runs on a node. Each line of its stdin is a watch event.
"""

import http.server
import json
import pathlib
import queue
import ssl
import subprocess
import sys
import threading
import urllib.parse

PORT = 8080
KUBECONFIG = "/run/kubeconfig"

_RESOURCES = {
    "/api": {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
    "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": [
        {"name": "nodes", "singularName": "node", "namespaced": False, "kind": "Node",
         "verbs": ["get", "list", "watch"], "shortNames": ["no"]}]},
}


class APIServer:
    """The server on a node, with a configuration for kubectl.

    tls: paths of a certificate and its key on the node; with them it serves HTTPS, on every address.
    """

    def __init__(self, node, *nodes, tls=()):
        node.path(KUBECONFIG).write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": f"http://127.0.0.1:{PORT}"}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "users": [{"name": "test", "user": {"token": "none"}}]}))
        self._process = node.start(
            "/usr/bin/python3", pathlib.Path(__file__), *tls, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)
        assert self._process.stdout.readline() == "listening\n"
        for one in nodes:
            self.tell("ADDED", one)

    def tell(self, kind, node):
        """Sends a watch event."""
        self._say(json.dumps({"type": kind, "object": node}))

    def tell_after_list(self, kind, node):
        """Sends an event right after the next list of all nodes."""
        self._say(json.dumps({"after": {"type": kind, "object": node}}))

    def close_watches(self):
        """Ends the watches, as a real server does from time to time."""
        self._say("close")

    def _say(self, line):
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.communicate()


class _Cluster:
    """The nodes, and the watches on them."""

    def __init__(self):
        self.lock = threading.Lock()
        self.nodes, self.version, self.watches, self.past = {}, 100, [], []
        self.after_list = []

    def tell(self, event):
        with self.lock:
            self.version += 1
            event["object"]["metadata"]["resourceVersion"] = str(self.version)
            name = event["object"]["metadata"]["name"]
            if event["type"] == "DELETED":
                self.nodes.pop(name, None)
            else:
                self.nodes[name] = event["object"]
            self.past.append((self.version, event))
            for watch in self.watches:
                watch.put(event)

    def close_watches(self):
        with self.lock:
            for watch in self.watches:
                watch.put(None)
            self.watches.clear()

    def list(self, limit):
        with self.lock:
            items = [{key: value for key, value in self.nodes[name].items()
                      if key not in ("kind", "apiVersion")} for name in sorted(self.nodes)]
            metadata = {"resourceVersion": str(self.version)}
            if limit < len(items):
                metadata |= {"continue": "more", "remainingItemCount": len(items) - limit}
            return {"kind": "NodeList", "apiVersion": "v1", "metadata": metadata,
                    "items": items[:limit]}

    def watch(self, since):
        events = queue.Queue()
        with self.lock:
            for version, event in self.past:
                if version > since:
                    events.put(event)
            self.watches.append(events)
        return events


class _Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cluster = _Cluster()

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/api/v1/nodes":
            query = urllib.parse.parse_qs(url.query)
            if query.get("watch") in (["true"], ["1"]):
                self.stream(int(query.get("resourceVersion", ["0"])[0]))
            else:
                limit = int(query.get("limit", ["500"])[0])
                self.answer(200, self.cluster.list(limit))
                while limit > 1 and self.cluster.after_list:
                    self.cluster.tell(self.cluster.after_list.pop(0))
        elif url.path in _RESOURCES:
            self.answer(200, _RESOURCES[url.path])
        else:
            self.answer(404, {"kind": "Status", "apiVersion": "v1", "metadata": {},
                              "status": "Failure", "reason": "NotFound", "code": 404,
                              "message": f"there is no {url.path}"})

    def answer(self, status, value):
        body = json.dumps(value, separators=(",", ":")).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self, since):
        events = self.cluster.watch(since)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while event := events.get():
            line = json.dumps(event).encode() + b"\n"
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("0.0.0.0" if sys.argv[1:] else "127.0.0.1", PORT), _Answers)
    if sys.argv[1:]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*sys.argv[1:])
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print("listening", flush=True)
    for line in sys.stdin:
        if line == "close\n":
            _Answers.cluster.close_watches()
        elif "after" in (event := json.loads(line)):
            _Answers.cluster.after_list.append(event["after"])
        else:
            _Answers.cluster.tell(event)
        print("done", flush=True)
