// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded
import Netfilter
import Netlink
import Node

/// The rules of a network in the node's firewalls, which serve all of its pods.
public struct NetworkRules {
  private let name: NetworkName
  /// nil: no firewall is changed.
  private let forward: ForwardAccept?
  /// nil: traffic that leaves the network keeps the pods' addresses.
  private let masquerade: Masquerade?

  /// The rules that a network's keys ask for.
  /// - Parameter addresses: the pod's. STATUS has none: then no masquerade is asked for.
  public init(_ routed: RoutedNetwork, _ addresses: [ResultIP]) {
    name = routed.name
    let network = routed.network
    var inside: [IPPrefix] = []
    for ip in addresses {
      var prefix = ip.address.network
      // A /32 or /128 is one pod's: rules are per network, not per pod.
      if prefix.length == prefix.family.bits {
        prefix = network.first { $0.contains(prefix) } ?? prefix
      }
      if !inside.contains(prefix) { inside.append(prefix) }
    }
    let outside = inside.filter { prefix in !network.contains { $0.contains(prefix) } }
    let all = network + outside
    forward =
      routed.forward && !all.isEmpty ? ForwardAccept(network: name.description, prefixes: all) : nil
    masquerade =
      routed.ipMasq && !inside.isEmpty
      ? Masquerade(network: name.description, inside: inside, except: all) : nil
  }

  /// Adds the missing rules. If none is missing, it changes nothing and starts no process.
  ///
  /// Added under the lock, all or none. An ADD that sees only some of the rules waits here, and then adds what is
  /// missing.
  /// - Throws: error 100 if a firewall that drops the network's packets rejects our rules, or the kernel
  ///   refuses; 11 or 5 if the node's lock cannot be had: see `NodeLock`.
  public func install() throws(CNIError) {
    guard forward != nil || masquerade != nil else { return }
    do throws(NetlinkError) {
      let socket = try NetfilterSocket()
      if try isInstalled(socket) { return }
    } catch {
      throw CNIError(error)
    }
    let lock = try NodeLock(.exclusive)
    do throws(NetlinkError) {
      let socket = try NetfilterSocket()
      let hadRules = try forward?.hasRules(socket) ?? true
      do throws(NetlinkError) {
        try forward?.install(socket)
        try masquerade?.install(socket)
      } catch {
        if !hadRules { try? forward?.remove(socket) }
        throw error
      }
    } catch {
      throw CNIError(error)
    }
    lock.unlock()
  }

  private func isInstalled(_ socket: borrowing NetfilterSocket) throws(NetlinkError) -> Bool {
    guard try forward?.isInstalled(socket) ?? true else { return false }
    return try masquerade?.isInstalled(socket) ?? true
  }

  /// The firewalls that drop the network's packets and cannot be changed, a sentence for each.
  /// - Throws: error 100 if a firewall's rules cannot be read.
  public func obstacles() throws(CNIError) -> [String] {
    guard let forward else { return [] }
    do throws(NetlinkError) {
      return try forward.unchangeableChains(NetfilterSocket()).map {
        "\($0) drops packets of network \(name) by its policy, and humanz cannot change it: add a rule that accepts them"
      }
    } catch {
      throw CNIError(error)
    }
  }

  /// What is missing, a sentence for each.
  /// - Throws: error 100 if a firewall's rules cannot be read.
  public func problems() throws(CNIError) -> [String] {
    guard forward != nil || masquerade != nil else { return [] }
    do throws(NetlinkError) {
      let socket = try NetfilterSocket()
      var problems =
        try forward?.droppingChains(socket).map {
          "\($0) drops packets of network \(name) by its policy"
        } ?? []
      if let masquerade, try !masquerade.isInstalled(socket) {
        problems.append("the nftables chain masquerade-\(name) is missing or changed")
      }
      return problems
    } catch {
      throw CNIError(error)
    }
  }

  /// Removes all rules of a network without attachments, also those that its keys no longer ask for.
  /// - Throws: error 100 if a firewall or the kernel refuses; 11 or 5 if the node's lock cannot be had: see
  ///   `NodeLock`.
  public static func remove(of network: NetworkName) throws(CNIError) {
    let lock = try NodeLock(.exclusive)
    do throws(NetlinkError) {
      let socket = try NetfilterSocket()
      try ForwardAccept(network: network.description, prefixes: []).remove(socket)
      try Masquerade.removeIfPresent(network: network.description, socket)
    } catch {
      throw CNIError(error)
    }
    lock.unlock()
  }
}
