// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded
import Leases
import Node
import System

/// The leases of one network, with the data of its attachment files.
struct LeaseReport {
  struct Row {
    let network: NetworkName
    let lease: Lease
    /// The pod's namespace and name; nil if the runtime did not pass them.
    let pod: String?
    /// RFC 3339, UTC; empty if it is not known.
    let since: String
    /// Why the lease is stale; nil if it is held.
    let stale: String?
  }

  /// A pool, and how many of its addresses are leased.
  struct Usage {
    let network: NetworkName
    let set: RangeSet
    let used: Int

    /// In 128 bits: an IPv6 pool may have 2^64 addresses and more.
    var percent: UInt128 { UInt128(used) * 100 / set.total }
    var isFull: Bool { UInt128(used) >= set.total }
    var description: String { "\(used) of \(set.total) used (\(percent) %)" }
  }

  private(set) var rows: [Row] = []
  private(set) var usage: [Usage] = []

  /// Reads a store, without changing it.
  /// - Parameter configured: has the pools of a network that has not leased an address yet.
  /// - Returns: nil if there is no store.
  init?(_ place: StorePlace, _ configured: ConfiguredNetwork?) throws(SystemError) {
    guard let store = try LeaseReader(place.network, in: place.folder), try store.isStore() else {
      return nil
    }
    var stale = StaleLeases()
    for address in try store.leases.leased().inOrder() {
      guard let lease = try store.leases.lease(of: address) else { continue }
      let record = try store.record(of: lease)
      var since = record?.time
      if since == nil { since = try store.leases.timestamp(of: "\(address)") }
      rows.append(
        Row(
          network: place.network, lease: lease, pod: record?.pod?.description, since: since!,
          stale: record.flatMap { stale.reason($0) }))
    }
    setUsage(of: try store.pools() ?? configured?.pools, place.network)
  }

  /// A network that has no store yet.
  init(unused network: ConfiguredNetwork) { setUsage(of: network.pools, network.name) }

  private mutating func setUsage(of pools: Pools?, _ network: NetworkName) {
    usage = (pools?.sets ?? []).map { set in
      Usage(network: network, set: set, used: rows.count { set.canLease($0.lease.address) })
    }
  }
}

extension LeaseReport.Row {
  static var header: [String] {
    ["NETWORK", "ADDRESS", "POD", "CONTAINER", "INTERFACE", "SINCE", "STATE"]
  }

  func words(wide: Bool) -> [String] {
    let attachment = lease.holder.attachment
    // The table shows whole seconds.
    var time = since
    if !wide, since.utf8.count == 24 {
      time = String(decoding: Array(since.utf8)[..<19]) + "Z"
    }
    return [
      "\(network)", "\(lease.address)", pod ?? "",
      lease.holder.containerID.map { "\($0)".shortened(wide) } ?? "?",
      attachment.map { "\($0.interface)" } ?? "?", time,
      stale.map { wide ? "stale: \($0)" : "stale" } ?? "held",
    ]
  }

  var json: JSON {
    let attachment = lease.holder.attachment
    return stringObject(
      ("network", "\(network)"), ("address", "\(lease.address)"), ("pod", pod),
      ("containerID", lease.holder.containerID.map { "\($0)" }),
      ("interface", attachment.map { "\($0.interface)" }), ("since", since),
      ("state", stale == nil ? "held" : "stale"), ("problem", stale))
  }
}

extension LeaseReport.Usage {
  var json: JSON {
    .object(
      JSONObject(
        ("network", .string("\(network)")), ("pool", .string("\(set)")), ("used", .number(used)),
        ("total", .number("\(set.total)"))))
  }
}

/// An object of strings, without those that are nil.
func stringObject(_ members: (String, String?)...) -> JSON {
  var object = JSONObject()
  for (name, value) in members { object[name] = value.map { .string($0) } }
  return .object(object)
}
