// SPDX-License-Identifier: Apache-2.0
import CNetlink
import System

/// A netlink socket on which the kernel reports the deletion of one link.
///
/// The kernel takes all links that one message deletes out of their namespaces before it reports the
/// first one. So when a veth link is reported as gone, its peer is gone too, and so are the other links of its
/// group. Source: `unregister_netdevice_many` in the kernel's net/core/dev.c (`unlist_netdevice` for each
/// link, then RTM_DELLINK for each); before Linux 5.17 `rollback_registered_many`.
public struct DeletedLinkSocket: ~Copyable {
  private let socket: FileDescriptor

  /// Opens a socket in the calling thread's network namespace. From now on it receives the report.
  ///
  /// Equivalent to: `ip monitor link dev LINK`. Messages: RTM_DELLINK of RTNLGRP_LINK.
  /// - Throws: if no more descriptors can be opened, or the thread could not return from another namespace:
  ///   see `NetworkNamespace.run`.
  public init(of link: LinkIndex) throws(NetlinkError) {
    try NetworkNamespace.requireOwn()
    let attempt = "subscribe to the deletion of link number \(link)"
    let flags = humanz_sock_raw | humanz_sock_cloexec | humanz_sock_nonblock
    let raw = CNetlink.socket(AF_NETLINK, flags, NETLINK_ROUTE)
    guard raw >= 0 else { throw .last(attempt) }
    let socket = FileDescriptor(raw)
    // Before the socket subscribes: then every message that arrives is the report.
    guard attachFilter(of: link, to: raw) else { throw .last(attempt) }
    guard humanz_bind_netlink(raw, UInt32(RTMGRP_LINK)) == 0 else { throw .last(attempt) }
    self.socket = socket
  }

  /// For poll(2): it can be read once the deletion is reported. It is closed with this value.
  public var rawValue: Int32 { socket.rawValue }

  /// Takes the report from the socket. It does not wait.
  /// - Returns: whether the kernel has reported the deletion.
  /// - Throws: `noBufferSpace` if the kernel could not deliver a message. It may have been the report: look
  ///   for the link.
  public borrowing func takeReport() throws(NetlinkError) -> Bool {
    do throws(Errno) {
      var byte: UInt8 = 0
      return try valueOrErrno { recv(rawValue, &byte, 1, 0) } > 0
    } catch {
      if error == .wouldBlock { return false }
      throw NetlinkError(attempt: "receive the report of a link's deletion", errno: error)
    }
  }
}

/// Lets one kind of message through to a socket: RTM_DELLINK of the link itself. (A bridge that loses a port
/// sends an RTM_DELLINK of the family AF_BRIDGE, and the link is still there.) See bpf(2), SO_ATTACH_FILTER
/// in socket(7).
private func attachFilter(of link: LinkIndex, to socket: Int32) -> Bool {
  // A filter reads integers in network byte order; netlink has the host's.
  let type = UInt32(UInt16(RTM_DELLINK).bigEndian)
  let index = UInt32(bitPattern: link.rawValue).bigEndian
  let header = UInt32(MemoryLayout<nlmsghdr>.size)
  func load(_ size: Int32, at offset: UInt32) -> sock_filter {
    sock_filter(code: UInt16(BPF_LD | BPF_ABS | size), jt: 0, jf: 0, k: offset)
  }
  func require(_ value: UInt32, orSkip count: UInt8) -> sock_filter {
    sock_filter(code: UInt16(BPF_JMP | BPF_JEQ | BPF_K), jt: 0, jf: count, k: value)
  }
  func pass(_ bytes: UInt32) -> sock_filter {
    sock_filter(code: UInt16(BPF_RET | BPF_K), jt: 0, jf: 0, k: bytes)
  }
  var program = [
    load(BPF_H, at: 4), require(type, orSkip: 5),
    load(BPF_B, at: header), require(UInt32(AF_UNSPEC), orSkip: 3),
    load(BPF_W, at: header + 4), require(index, orSkip: 1),
    pass(.max), pass(0),
  ]
  return program.withUnsafeMutableBufferPointer { instructions in
    var filter = sock_fprog(len: UInt16(instructions.count), filter: instructions.baseAddress)
    let size = socklen_t(MemoryLayout<sock_fprog>.size)
    return setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &filter, size) == 0
  }
}
