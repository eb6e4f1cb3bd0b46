# SPDX-License-Identifier: Apache-2.0
"""Kubernetes' Node objects with the fields of real ones, in the forms that kubectl prints."""

import copy
import json

_QUANTITIES = {
    "cpu": "8", "ephemeral-storage": "203056560Ki", "hugepages-1Gi": "0", "hugepages-2Mi": "0",
    "memory": "32863532Ki", "pods": "110"}


def _condition(kind, status, reason, message):
    return {"lastHeartbeatTime": "2026-01-31T12:00:05Z", "lastTransitionTime": "2026-01-30T08:14:51Z",
            "message": message, "reason": reason, "status": status, "type": kind}


def _fields(*paths):
    """A `fieldsV1` of managed fields: a tree of keys such as `f:spec` and `k:{"type":"Ready"}`."""
    tree = {}
    for path in paths:
        below = tree
        for part in path.split("/"):
            below = below.setdefault(part, {})
    return tree


def node(name, subnets, addresses, version=1000, images=12, taints=(), kind=True):
    """A Node.

    subnets: its podCIDRs; addresses: its InternalIPs, among addresses of every other type.
    """
    ready = '{"type":"Ready"}'
    made = {
        "metadata": {
            "annotations": {
                "kubeadm.alpha.kubernetes.io/cri-socket": "unix:///run/containerd/containerd.sock",
                "node.alpha.kubernetes.io/ttl": "0",
                "volumes.kubernetes.io/controller-managed-attach-detach": "true",
                "example.com/note": "quotes \" brackets }]{[ \\ and \u00fc\u2603\U0001f600 \u0001"},
            "creationTimestamp": "2026-01-30T08:14:36Z",
            "labels": {
                "beta.kubernetes.io/arch": "amd64", "beta.kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64", "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux", "node-role.kubernetes.io/control-plane": "",
                "topology.kubernetes.io/region": "north", "topology.kubernetes.io/zone": "north-1"},
            "managedFields": [
                {"apiVersion": "v1", "fieldsType": "FieldsV1", "manager": manager,
                 "operation": "Update", "time": "2026-01-30T08:14:51Z",
                 "fieldsV1": _fields(*paths), **extra}
                for manager, paths, extra in (
                    ("kubelet", ["f:metadata/f:annotations/.", f"f:status/f:conditions/k:{ready}/f:message",
                                 "f:status/f:images", "f:status/f:nodeInfo/f:kernelVersion"],
                     {"subresource": "status"}),
                    ("kube-controller-manager",
                     ["f:spec/f:podCIDR", "f:spec/f:podCIDRs/.", "f:spec/f:podCIDRs/v:\"x\"",
                      "f:metadata/f:annotations/f:node.alpha.kubernetes.io~1ttl"], {}),
                    ("kubeadm", ["f:metadata/f:labels/f:node-role.kubernetes.io~1control-plane"], {}))],
            "name": name,
            "resourceVersion": str(version),
            "uid": "7f1c7a0e-0000-4000-8000-%012x" % (sum(map(ord, name)) % 2**40)},
        "spec": {
            "podCIDR": subnets[0] if subnets else None,
            "podCIDRs": list(subnets),
            "providerID": f"example://north-1/{name}",
            "taints": [{"effect": "NoSchedule", "key": key} for key in taints]},
        "status": {
            "addresses": [
                {"address": f"{name}.internal.example", "type": "InternalDNS"},
                {"address": "203.0.113.7", "type": "ExternalIP"},
                *({"address": address, "type": "InternalIP"} for address in addresses),
                {"address": "2001:db8:ffff::7", "type": "ExternalIP"},
                {"address": name, "type": "Hostname"}],
            "allocatable": {**_QUANTITIES, "memory": "32761132Ki"},
            "capacity": _QUANTITIES,
            "conditions": [
                _condition("MemoryPressure", "False", "KubeletHasSufficientMemory",
                           "kubelet has sufficient memory available"),
                _condition("DiskPressure", "False", "KubeletHasNoDiskPressure",
                           "kubelet has no disk pressure"),
                _condition("PIDPressure", "False", "KubeletHasSufficientPID",
                           "kubelet has sufficient PID available"),
                _condition("Ready", "True", "KubeletReady", "kubelet is posting ready status")],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "images": [
                {"names": [f"registry.example/team/part{number}@sha256:{number:064x}",
                           f"registry.example/team/part{number}:v1.{number}.0"],
                 "sizeBytes": 31_470_524 + number} for number in range(images)],
            "nodeInfo": {
                "architecture": "amd64", "bootID": "c0ffee00-0000-4000-8000-000000000001",
                "containerRuntimeVersion": "containerd://1.7.13", "kernelVersion": "6.1.0-18-amd64",
                "kubeProxyVersion": "v1.29.2", "kubeletVersion": "v1.29.2",
                "machineID": "00000000000040008000000000000002", "operatingSystem": "linux",
                "osImage": "Debian GNU/Linux 12 (bookworm)",
                "systemUUID": "00000000-0000-4000-8000-000000000003"},
            "runtimeHandlers": [{"features": {"recursiveReadOnlyMounts": True}, "name": ""}],
            "volumesAttached": [{"devicePath": "", "name": "kubernetes.io/csi/disk.example^1"}],
            "volumesInUse": ["kubernetes.io/csi/disk.example^1"]}}
    if not subnets:
        del made["spec"]["podCIDR"], made["spec"]["podCIDRs"]
    if not taints:
        del made["spec"]["taints"]
    return {"apiVersion": "v1", "kind": "Node", **made} if kind else made


def changed(node, version, **addresses_or_subnets):
    """The node after a change: with other InternalIPs, other podCIDRs, or only a heartbeat."""
    node = copy.deepcopy(node)
    node["metadata"]["resourceVersion"] = str(version)
    for condition in node["status"]["conditions"]:
        condition["lastHeartbeatTime"] = "2026-01-31T12:05:05Z"
    if "addresses" in addresses_or_subnets:
        others = [entry for entry in node["status"]["addresses"] if entry["type"] != "InternalIP"]
        node["status"]["addresses"] = others + [
            {"address": address, "type": "InternalIP"} for address in addresses_or_subnets["addresses"]]
    if "subnets" in addresses_or_subnets:
        node["spec"]["podCIDRs"] = addresses_or_subnets["subnets"]
        node["spec"]["podCIDR"] = addresses_or_subnets["subnets"][0]
    return node


def listed(*nodes):
    """What `kubectl get nodes -o json` prints."""
    return json.dumps({"apiVersion": "v1", "items": nodes, "kind": "List",
                       "metadata": {"resourceVersion": ""}}, indent=4) + "\n"


def node_list(*nodes):
    """What `kubectl get --raw /api/v1/nodes` prints: its items have no `kind`."""
    bare = [{key: value for key, value in node.items() if key not in ("kind", "apiVersion")}
            for node in nodes]
    return json.dumps({"kind": "NodeList", "apiVersion": "v1",
                       "metadata": {"resourceVersion": "4711"}, "items": bare},
                      separators=(",", ":")) + "\n"


def watched(*nodes):
    """What `kubectl get nodes -o json --watch` prints."""
    return "".join(json.dumps(node, indent=4) + "\n" for node in nodes)


def event(kind, node):
    """What `kubectl get nodes -o json --watch --output-watch-events` prints for one event."""
    return json.dumps({"type": kind, "object": node}, separators=(",", ":")) + "\n"


def bookmark(version):
    return event("BOOKMARK", {
        "kind": "Node", "apiVersion": "v1",
        "metadata": {"resourceVersion": str(version), "creationTimestamp": None},
        "spec": {}, "status": {"daemonEndpoints": {"kubeletEndpoint": {"Port": 0}}, "nodeInfo": {
            key: "" for key in ("machineID", "systemUUID", "bootID", "kernelVersion", "osImage")}}})


def expired(version):
    return event("ERROR", {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": f"too old resource version: {version} (9000)", "reason": "Expired", "code": 410})
