// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import CNetlink
import Netfilter
import Netlink
import Node
import System

/// The key `macspoofchk`: drops a pod's frames whose source MAC address is not the pod's own.
struct MACCheck {
  private let host: HostInterface
  private let mac: MACAddress

  /// nil for an interface without a MAC address.
  init?(of podEnd: Link, behind host: HostInterface) {
    guard let mac = podEnd.mac else { return nil }
    self.host = host
    self.mac = mac
  }

  private var rule: SourceCheck { SourceCheck(port: host.name, mac: mac, comment: host.alias) }

  /// Installs the rule, before the pod's end is up.
  func install(undo: inout Undo) throws(CNIError) {
    undo.push(.call { [host] _, _ in try? MACCheck.remove(port: host.name) })
    try MACCheck.markAsUsed()
    try netfilterSteps { (socket: borrowing NetfilterSocket) throws(NetlinkError) in
      try rule.install(socket)
    }
  }

  /// CHECK of the rule.
  /// - Throws: error 102.
  func verify() throws(CNIError) {
    var isInstalled = false
    try netfilterSteps { (socket: borrowing NetfilterSocket) throws(NetlinkError) in
      isInstalled = try rule.isInstalled(socket)
    }
    guard isInstalled else {
      throw CNIError(
        .checkFailed, "the nftables chain \(host.name) of \"macspoofchk\" is missing or changed")
    }
  }

  /// Removes the rule of a deleted port, even if the key was changed since the ADD. Kernels since 6.16 keep the
  /// rule, and would apply it to the next port of that name. Keeps the rule if the node has a link of
  /// that name: it is the port of the same interface on another network.
  static func remove(
    of host: HostInterface, isAsked: Bool, on node: borrowing Node
  ) throws(CNIError) {
    guard isAsked || isUsed, try node.kernel.link(host.name) == nil else { return }
    try remove(port: host.name)
  }

  private static func remove(port: InterfaceName) throws(CNIError) {
    try netfilterSteps { (socket: borrowing NetfilterSocket) throws(NetlinkError) in
      try SourceCheck.remove(port: port, socket)
    }
  }

  /// Removes the rules of deleted ports.
  static func removeOrphans(on node: borrowing Node) throws(CNIError) {
    var ports: [InterfaceName] = []
    try netfilterSteps { (socket: borrowing NetfilterSocket) throws(NetlinkError) in
      ports = try SourceCheck.ports(socket)
    }
    for port in ports where try node.kernel.link(port) == nil { try remove(port: port) }
    if ports.isEmpty, isUsed {
      try netfilterSteps { (socket: borrowing NetfilterSocket) throws(NetlinkError) in
        try SourceCheck.removeEmptyTable(socket)
      }
    }
  }

  // MARK: - Whether any port was ever checked

  /// This file exists from the first attempt to install a rule. Without it DEL does not query nf_tables, whose module
  /// the kernel may first have to load. Like the rules, the file does not survive a reboot.
  private static let mark = "/run/humanz/macspoofchk"

  private static var isUsed: Bool { access(mark, F_OK) == 0 }

  private static func markAsUsed() throws(CNIError) {
    if isUsed { return }
    // The folder exists: the ADD holds the node's lock, which is in it.
    do throws(SystemError) {
      _ = try FileDescriptor(path: mark, flags: O_WRONLY | O_CREAT | O_NOFOLLOW)
    } catch { throw CNIError(error) }
  }
}
