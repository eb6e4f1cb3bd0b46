// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Netfilter
import Netlink
import Node

/// The masquerade of a network, which all of its attachments share.
struct NetworkMasquerade {
  private let network: NetworkName
  private let masquerade: Masquerade

  init(_ network: NetworkName, _ subnets: [IPPrefix]) {
    self.network = network
    masquerade = Masquerade(network: network.description, inside: subnets, except: subnets)
  }

  /// Masquerades traffic leaving the subnets. Changes nothing if the rules exist.
  func install(undo: inout Undo) throws(CNIError) {
    try netfilterSteps { (socket: borrowing NetfilterSocket) throws(NetlinkError) in
      if try masquerade.isInstalled(socket) { return }
      undo.push(
        .call { [network] node, _ in try? NetworkMasquerade.removeUnused(network, on: node) })
      try masquerade.install(socket)
    }
  }

  /// CHECK of the rules.
  /// - Throws: error 102.
  func verify() throws(CNIError) {
    var isInstalled = false
    try netfilterSteps { (socket: borrowing NetfilterSocket) throws(NetlinkError) in
      isInstalled = try masquerade.isInstalled(socket)
    }
    guard isInstalled else {
      throw CNIError(.checkFailed, "the nftables chain masquerade-\(network) is missing or changed")
    }
  }

  /// Removes the rules that the reference `bridge` made for an attachment.
  static func removeRulesOfReference(
    _ attachment: Attachment, _ network: NetworkName
  ) throws(CNIError) {
    try netfilterSteps { (socket: borrowing NetfilterSocket) throws(NetlinkError) in
      try ReferenceMasquerade(
        network: network.description, container: attachment.containerID.description,
        interface: attachment.interface.description
      ).remove(socket)
    }
  }

  /// GC: removes the rules of a network without attachments.
  /// - Parameter stale: links that are about to be deleted, and so do not count.
  static func removeIfUnused(
    _ network: NetworkName, besides stale: [Link], on node: borrowing Kernel
  ) throws(CNIError) {
    var hasRules = false
    try netfilterSteps { (socket: borrowing NetfilterSocket) throws(NetlinkError) in
      hasRules = try Masquerade.exists(network: network.description, socket)
      // An earlier GC that was killed may have left the empty table.
      if !hasRules { try Masquerade.removeEmptyTable(socket) }
    }
    if hasRules { try removeIfNoneAttached(network, besides: stale, on: node) }
  }

  /// Removes the rules of a network without attachments.
  static func removeUnused(_ network: NetworkName, on node: borrowing Kernel) throws(CNIError) {
    // Checked without the lock first: a DEL of a network in use need not wait for it.
    if try node.hasAttachments(to: network) { return }
    try removeIfNoneAttached(network, besides: [], on: node)
  }

  private static func removeIfNoneAttached(
    _ network: NetworkName, besides stale: [Link], on node: borrowing Kernel
  ) throws(CNIError) {
    let lock = try NodeLock(.exclusive)
    if try !node.hasAttachments(to: network, besides: stale) {
      try netfilterSteps { (socket: borrowing NetfilterSocket) throws(NetlinkError) in
        try Masquerade.remove(network: network.description, socket)
      }
    }
    lock.unlock()
  }
}
