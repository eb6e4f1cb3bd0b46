# SPDX-License-Identifier: Apache-2.0
"""The parts of a Kubernetes API server that kubectl uses; it stands in for a cluster.

Run on a node, it reports to kubectl the nodes that arrive on its stdin: a line is a watch event. It keeps the
objects that kubectl creates of deploy/humanz.yaml, where Kubernetes' own types know all their keys, and
deletes them. No controller acts on them: a test reports their status.
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

_RBAC = "apis/rbac.authorization.k8s.io/v1"
# Each resource with its kind, and whether it is in a namespace.
_KINDS = {
    "api/v1": {"nodes": ("Node", False), "namespaces": ("Namespace", False),
               "serviceaccounts": ("ServiceAccount", True), "configmaps": ("ConfigMap", True)},
    "apis/apps/v1": {"daemonsets": ("DaemonSet", True)},
    _RBAC: {"clusterroles": ("ClusterRole", False), "clusterrolebindings": ("ClusterRoleBinding", False)},
}


def _version(group):
    return group.partition("/")[2]


def _discovery():
    """What kubectl asks first: the groups, and the kinds of each."""
    groups = [_version(group) for group in _KINDS if group.startswith("apis/")]
    answers = {
        "/api": {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [
            {"name": group.partition("/")[0], "versions": [one], "preferredVersion": one}
            for group in groups for one in [{"groupVersion": group, "version": "v1"}]]},
        # The server itself looks at the keys (fieldValidation), so kubectl needs no schemas.
        "/openapi/v3": {"paths": {group: {"serverRelativeURL": f"/openapi/v3/{group}"} for group in _KINDS}},
    }
    for group, kinds in _KINDS.items():
        answers[f"/{group}"] = {
            "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": _version(group), "resources": [
                {"name": name, "singularName": kind.lower(), "namespaced": namespaced, "kind": kind,
                 "verbs": ["create", "delete", "get", "list", "watch"]}
                for name, (kind, namespaced) in kinds.items()]}
        name, _, version = _version(group).rpartition("/")
        answers[f"/openapi/v3/{group}"] = {"openapi": "3.0.0", "info": {"title": "", "version": ""}, "paths": {
            f"/{group}/{kind.lower()}": {"patch": {
                "parameters": [{"name": "fieldValidation", "in": "query"}], "responses": {},
                "x-kubernetes-group-version-kind": {"group": name, "version": version, "kind": kind}}}
            for kind, _ in kinds.values()}}
    return answers


def unknown_keys(document):
    """Whether Kubernetes' own types, as its Python client has them, do not know a key of an object."""
    # This folder has another module named `kubernetes`.
    if str(pathlib.Path(__file__).parent) in sys.path:
        sys.path.remove(str(pathlib.Path(__file__).parent))
    import kubernetes.client

    class Response:
        data = json.dumps(document)

    api = kubernetes.client.ApiClient()
    return api.sanitize_for_serialization(api.deserialize(Response, f"V1{document['kind']}")) != document


class APIServer:
    """The server on a node, with a configuration for kubectl.

    tls: paths of a certificate and its key on the node; with them it serves HTTPS, on every address.
    """

    def __init__(self, node, *nodes, tls=()):
        node.path(KUBECONFIG).write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {
                "server": f"https://127.0.0.1:{PORT}", "certificate-authority": str(tls[0])} if tls else {
                "server": f"http://127.0.0.1:{PORT}"}}],
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

    def objects(self):
        """What kubectl has created, by kind."""
        return self._say("objects")

    def report(self, kind, status):
        """Sets the status of an object."""
        self._say(json.dumps({"kind": kind, "status": status}))

    def _say(self, line):
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

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


class _Objects:
    """What kubectl has created, by path. A list of one object is all that kubectl asks for."""

    def __init__(self):
        self.lock = threading.Condition()
        self.found, self.version = {}, 0

    def put(self, path, document):
        with self.lock:
            self.version += 1
            document["metadata"] |= {"uid": f"uid-of-{path}", "resourceVersion": str(self.version)}
            if document["kind"] == "DaemonSet":
                document["metadata"]["generation"] = 1
            self.found[path] = document
            self.lock.notify_all()

    def remove(self, path):
        with self.lock:
            return self.found.pop(path, None)

    def report(self, kind, status):
        with self.lock:
            path, = (path for path, one in self.found.items() if one["kind"] == kind)
        self.put(path, self.found[path] | {"status": status})


class _Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cluster = _Cluster()
    objects = _Objects()
    discovery = _discovery()

    def do_POST(self):
        document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if unknown_keys(document):
            return self.refuse(400, "BadRequest", f"unknown field in the {document['kind']}")
        path = f"{urllib.parse.urlsplit(self.path).path}/{document['metadata']['name']}"
        self.objects.put(path, document)
        self.answer(201, document)

    def do_DELETE(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.objects.remove(urllib.parse.urlsplit(self.path).path):
            self.answer(200, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"})
        else:
            self.refuse(404, "NotFound", f"there is no {self.path}")

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
        elif url.path in self.discovery:
            self.answer(200, self.discovery[url.path])
        elif url.path in self.objects.found:
            self.answer(200, self.objects.found[url.path])
        elif "fieldSelector" in url.query:
            self.collection(url)
        else:
            self.refuse(404, "NotFound", f"there is no {url.path}")

    def refuse(self, status, reason, message):
        self.answer(status, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                             "reason": reason, "code": status, "message": message})

    def collection(self, url):
        """The one object of a collection that a field selector names: as a list, or as a watch on it."""
        query = urllib.parse.parse_qs(url.query)
        path = f"{url.path}/{query['fieldSelector'][0].removeprefix('metadata.name=')}"
        with self.objects.lock:
            one = self.objects.found.get(path)
            version = str(self.objects.version)
        if query.get("watch") not in (["true"], ["1"]):
            group, _, _ = url.path[1:].partition("/namespaces/")
            return self.answer(200, {"kind": "List", "apiVersion": _version(group), "items": [one] if one else [],
                                     "metadata": {"resourceVersion": version}})
        self.begin_stream()
        since = int(query.get("resourceVersion", ["0"])[0])
        while True:
            with self.objects.lock:
                self.objects.lock.wait_for(lambda: self.objects.version > since)
                since, one = self.objects.version, self.objects.found.get(path)
            if one:
                self.send_event({"type": "MODIFIED", "object": one})

    def answer(self, status, value):
        body = json.dumps(value, separators=(",", ":")).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self, since):
        events = self.cluster.watch(since)
        self.begin_stream()
        while event := events.get():
            self.send_event(event)
        self.wfile.write(b"0\r\n\r\n")

    def begin_stream(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def send_event(self, event):
        line = json.dumps(event).encode() + b"\n"
        self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        self.wfile.flush()

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
        answer = None
        if line == "close\n":
            _Answers.cluster.close_watches()
        elif line == "objects\n":
            answer = {one["kind"]: one for one in _Answers.objects.found.values()}
        elif "after" in (event := json.loads(line)):
            _Answers.cluster.after_list.append(event["after"])
        elif "status" in event:
            _Answers.objects.report(**event)
        else:
            _Answers.cluster.tell(event)
        print(json.dumps(answer), flush=True)
