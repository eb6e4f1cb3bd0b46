// SPDX-License-Identifier: Apache-2.0
import CNetlink
import System

/// Notifications of each change to the links, addresses and routes of the network namespace in which the socket
/// was opened.
///
/// Equivalent to: `ip monitor link address route`. Messages: RTM_NEWLINK and the like, from the
/// multicast groups of rtnetlink(7).
public struct RouteNotifications: ~Copyable {
  private let socket: OpaquePointer

  /// Opens a socket in the calling thread's network namespace. It is notified of changes from now on. The
  /// corresponding C functions are `mnl_socket_open2` and `mnl_socket_bind`.
  /// - Throws: if no more descriptors can be opened, the kernel has no memory for the socket, or the thread could
  ///   not return from another namespace: see `NetworkNamespace.run`.
  public init() throws(NetlinkError) {
    try NetworkNamespace.requireOwn()
    guard
      let socket = mnl_socket_open2(
        NETLINK_ROUTE, humanz_sock_cloexec | humanz_sock_nonblock)
    else {
      throw .last("open a netlink socket")
    }
    let groups =
      RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_IFADDR
      | RTMGRP_IPV6_ROUTE
    guard mnl_socket_bind(socket, UInt32(groups), 0) == 0 else {
      let error = NetlinkError.last("listen to the kernel's notifications")
      mnl_socket_close(socket)
      throw error
    }
    self.socket = socket
  }

  deinit { mnl_socket_close(socket) }

  /// For poll(2): it can be read once there is a notification.
  public var descriptor: Int32 { mnl_socket_get_fd(socket) }

  /// Reads all notifications that have arrived.
  /// - Returns: whether there were any, or the kernel had to drop some.
  public borrowing func drain() -> Bool {
    var buffer = [UInt8](repeating: 0, count: 16384)
    var hasChanges = false
    while true {
      let count = mnl_socket_recvfrom(socket, &buffer, buffer.count)
      if count < 0 {
        let error = Errno.last
        // ENOSPC: a notification longer than the buffer.
        guard [.interrupted, .noBufferSpace, .noSpace].contains(error) else { return hasChanges }
      }
      hasChanges = true
    }
  }
}
