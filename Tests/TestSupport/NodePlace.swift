// SPDX-License-Identifier: Apache-2.0
import CNI
import CNetlink
import Netlink
import Node
import Testing

/// Runs `body` on a new, empty node with a pod, and with its own `/run`, where the lock is.
package func onNode(_ body: (borrowing Node, borrowing Pod) throws -> Void) throws {
  let namespace = try makeNamespace()
  let path = "/proc/self/fd/\(namespace.fileDescriptor)"
  try withOwnRun {
    try inNewNamespace { _ in try body(Node(), Pod(path: path)) }
  }
}

/// Runs `body` with an empty `/run` that only the calling thread sees.
private func withOwnRun(_ body: () throws -> Void) throws {
  let mounts = humanz_open("/proc/thread-self/ns/mnt", O_RDONLY, 0)
  defer { close(mounts) }
  try #require(mounts >= 0 && unshare(CLONE_NEWNS) == 0, "the tests need root")
  defer { if setns(mounts, CLONE_NEWNS) != 0 { fatalError("cannot come back") } }
  try #require(shell("mount --make-rprivate / && mount -t tmpfs none /run") == "")
  try body()
}

package func attachment(_ container: String, _ interface: String = "eth0") -> CNI.Attachment {
  CNI.Attachment(containerID: ContainerID(container)!, interface: .init(interface)!)
}

extension Node {
  /// Makes a veth pair whose other end is in the pod.
  package borrowing func addPort(
    _ port: String, of bridge: String? = nil, alias: String = "", podEnd: String,
    _ pod: borrowing Pod
  ) throws {
    try kernel.perform([
      .addVethPair(
        VethPair(
          name: name(port), mac: mac("02:00:00:00:00:01"),
          master: bridge.map { try kernel.index(of: $0) }, peerName: name(podEnd),
          peerMAC: mac("02:00:00:00:00:02"), peerNamespace: pod.namespace.fileDescriptor))
    ])
    if !alias.isEmpty {
      try kernel.perform([.changeLink(.name(name(port)), LinkChange(alias: alias))])
    }
  }
}

extension Kernel {
  /// The index of a link, which must exist.
  package borrowing func index(of name: String) throws -> LinkIndex {
    try #require(try link(.init(name)!)).index
  }

  package borrowing func has(_ name: String) throws -> Bool { try link(.init(name)!) != nil }
}
