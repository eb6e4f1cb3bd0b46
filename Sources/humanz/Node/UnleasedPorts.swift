// SPDX-License-Identifier: Apache-2.0
import CNI
import CNetlink
import Embedded
import Leases
import Netlink
import Node
import System

/// Our ports whose pods have no lease, in networks whose addresses humanz-ipam leases: somebody has removed the lease.
/// The pod keeps its address, and the next ADD may give it to another pod.
struct UnleasedPorts {
  private(set) var ports: [Port] = []

  init(among all: [Port], _ configured: ConfiguredNetworks) {
    guard let node = try? Node(), let stores = try? LeaseStores(folder: nil, configured) else {
      return
    }
    ports = all.filter { $0.isLeased(configured, stores) == false }
    // Between two stages of an ADD or of a DEL there is a port without a lease, for some milliseconds.
    let end = Clock.microseconds() + 2_000_000
    while !ports.isEmpty, Clock.microseconds() < end {
      usleep(100_000)
      var left: [Port] = []
      for port in ports where port.isLeased(configured, stores) == false {
        if (try? node.hasLink(port.link.name)) == true { left.append(port) }
      }
      ports = left
    }
  }
}

extension Port {
  /// Whether a lease is the attachment's; nil for a port that needs none, or if the leases cannot be read.
  fileprivate func isLeased(_ configured: ConfiguredNetworks, _ stores: LeaseStores) -> Bool? {
    guard let network, let attachment else { return nil }
    let same = configured.networks.filter { $0.name == network }
    guard !same.isEmpty, same.allSatisfy({ $0.usesOurIPAM && $0.leaseFolder != nil }) else {
      return nil
    }
    do throws(SystemError) {
      for place in stores.of(network) {
        if try place.hasLease(of: attachment) { return true }
      }
      return false
    } catch {
      return nil
    }
  }
}

extension StorePlace {
  /// Looks at the addresses in the attachment's file, and then at every lease: host-local makes no such files.
  fileprivate func hasLease(of attachment: Attachment) throws(SystemError) -> Bool {
    guard let store = try LeaseReader(network, in: folder) else { return false }
    for address in try store.record(of: attachment)?.addresses ?? [] {
      if try store.leases.lease(of: address)?.holder.attachment == attachment { return true }
    }
    for address in try store.leases.leased() {
      guard let holder = try store.leases.lease(of: address)?.holder else { continue }
      if holder == .attachment(attachment) || holder == .container(attachment.containerID) {
        return true
      }
    }
    return false
  }
}
