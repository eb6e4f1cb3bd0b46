# SPDX-License-Identifier: Apache-2.0
"""A client of the Container Runtime Interface (kubernetes/cri-api, `runtime.v1`), with the calls that the
tests need. Messages are dictionaries by field number, as in its `api.proto`."""

import grpc


def encode(message):
    """A message in Protocol Buffers' wire format, from values by field number; a list is a repeated field."""
    out = bytearray()
    for number, values in message.items():
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, int):
                out += _varint(number << 3) + _varint(value)
            else:
                payload = encode(value) if isinstance(value, dict) else value.encode()
                out += _varint(number << 3 | 2) + _varint(len(payload)) + payload
    return bytes(out)


def decode(payload):
    """A message's fields by number, each a list of values; strings and nested messages stay bytes."""
    fields = {}
    while payload:
        key, payload = _read_varint(payload)
        value, payload = _read_varint(payload)
        if key & 7 == 2:
            value, payload = payload[:value], payload[value:]
        fields.setdefault(key >> 3, []).append(value)
    return fields


def _varint(value):
    out = bytearray()
    while value > 0x7f:
        out.append(value & 0x7f | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def _read_varint(payload):
    value = 0
    for index, byte in enumerate(payload):
        value |= (byte & 0x7f) << 7 * index
        if byte < 0x80:
            return value, payload[index + 1:]
    raise ValueError("a message that ends within a number")


def _pod(name, cgroup, ports=()):
    """A pod's configuration; `ports` are pairs (host port, container port)."""
    mappings = [{2: inside, 3: outside} for outside, inside in ports]
    metadata = {1: name, 2: f"uid-of-{name}", 3: "default"}
    return {1: metadata, 2: name, 5: mappings, 8: {1: cgroup}}


class Runtime:
    """A runtime, called through its socket."""

    def __init__(self, socket):
        self._channel = grpc.insecure_channel(f"unix://{socket}")

    def close(self):
        self._channel.close()

    def call(self, method, message, timeout=30):
        call = self._channel.unary_unary(
            f"/runtime.v1.RuntimeService/{method}",
            request_serializer=encode, response_deserializer=decode)
        return call(message, timeout=timeout)

    def conditions(self):
        """The conditions that the runtime reports as true."""
        try:
            status = decode(self.call("Status", {}, timeout=5)[1][0])
        except grpc.RpcError:
            return set()
        conditions = [decode(condition) for condition in status.get(1, [])]
        return {one[1][0].decode() for one in conditions if one.get(2) == [1]}

    def run_sandbox(self, name, cgroup, ports):
        """Makes a pod; returns its ID."""
        return self.call("RunPodSandbox", {1: _pod(name, cgroup, ports)})[1][0].decode()

    def run_container(self, sandbox, name, cgroup, image, *command):
        """Starts a container in the pod; returns its ID."""
        container = {1: {1: "main"}, 2: {1: image}, 3: list(command)}
        request = {1: sandbox, 2: container, 3: _pod(name, cgroup)}
        identity = self.call("CreateContainer", request)[1][0].decode()
        self.call("StartContainer", {1: identity})
        return identity

    def execute(self, container, *command):
        """Runs a command in a container; returns its output."""
        answer = self.call("ExecSync", {1: container, 2: list(command), 3: 10})
        return answer.get(1, [b""])[0].decode()

    def stop_sandbox(self, sandbox):
        self.call("StopPodSandbox", {1: sandbox})

    def remove_sandbox(self, sandbox):
        self.call("RemovePodSandbox", {1: sandbox})

    def sandboxes(self):
        """The IDs of all pods."""
        return {decode(item)[1][0].decode() for item in self.call("ListPodSandbox", {}).get(1, [])}

    def address(self, sandbox):
        """A pod's first address."""
        status = decode(self.call("PodSandboxStatus", {1: sandbox})[1][0])
        return decode(status[5][0])[1][0].decode()
