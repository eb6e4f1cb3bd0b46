// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import CNetlink
import Embedded
import System

/// What an attachment asks the store for.
public struct Allocation {
  /// The attachment that gets the addresses.
  public let attachment: Attachment
  let namespace: String
  let hostInterface: InterfaceName?
  let pools: Pools
  let requested: [IPAddress]
  /// The Kubernetes pod, kept with the lease; nil if the runtime does not name one.
  public var pod: PodName?
  /// The link that the gateway addresses are put on, kept for STATUS; nil if there is none.
  public var bridge: InterfaceName?

  /// The addresses that an attachment asks for.
  /// - Parameters:
  ///   - namespace: CNI_NETNS, kept with the lease.
  ///   - hostInterface: the node's end of the pair, kept with the lease; nil if it is not known.
  ///   - pools: the range sets; the attachment gets one address of each.
  ///   - requested: the addresses that are asked for; others are chosen.
  public init(
    _ attachment: Attachment, namespace: String, hostInterface: InterfaceName?, pools: Pools,
    requested: [IPAddress]
  ) {
    self.attachment = attachment
    self.namespace = namespace
    self.hostInterface = hostInterface
    self.pools = pools
    self.requested = requested
  }

  /// Leases one address of each range set, in the order of the sets: all or none.
  /// - Parameters:
  ///   - report: gets a sentence for each stale lease that is reclaimed.
  ///   - willLease: is called right before the leases are made, and not if the attachment already holds one.
  /// - Returns: the addresses with their prefix lengths and gateways.
  /// - Throws: `holds` if the attachment has addresses already; `unavailable` or `taken` for a requested
  ///   address; `exhausted` for a set without a free address; `system` for a file.
  public func make(
    in store: inout LeaseStore, report: (String) -> Void, willLease: () -> Void = {}
  ) throws(StoreError) -> [ResultIP] {
    // First: a full pool must not hide that the attachment holds an address already.
    let held = try storeFiles { () throws(SystemError) in try store.addresses(of: attachment) }
    guard held.isEmpty else { throw .holds(attachment, held) }
    let requests = try requestsBySet()
    var addresses: [IPAddress] = []
    for (index, set) in pools.sets.enumerated() {
      if let request = requests[index] {
        addresses.append(try store.require(request, report: report))
      } else {
        addresses.append(try store.find(in: set, index, report: report))
      }
    }
    try storeFiles { () throws(SystemError) in
      try store.write(StoreSummary(pools: pools, bridge: bridge))
    }
    willLease()
    // A requested address also becomes the last one given, as with host-local.
    try store.lease(
      record(of: addresses), given: addresses.enumerated().map { ($0.offset, $0.element) })
    return addresses.map { address in
      let range = pools.range(of: address)!
      return ResultIP(
        IPPrefix(address, length: range.subnet.length), gateway: range.gateway)
    }
  }

  private func record(of addresses: [IPAddress]) -> AttachmentRecord {
    var record = AttachmentRecord(attachment, addresses: addresses, time: Clock.timestamp())
    record.namespace = namespace
    record.hostInterface = hostInterface
    record.pod = pod
    record.bootID = Boot.id
    return record
  }

  /// For each range set the address that is asked for; nil if any address will do.
  private func requestsBySet() throws(StoreError) -> [IPAddress?] {
    var requests = [IPAddress?](repeating: nil, count: pools.sets.count)
    for address in requested {
      guard let index = pools.sets.firstIndex(where: { $0.range(of: address) != nil }) else {
        throw .unavailable(address, "is in none of the ranges")
      }
      let set = pools.sets[index]
      guard set.canLease(address) else {
        let isGateway = pools.gateways.contains(address)
        throw .unavailable(address, isGateway ? "is the gateway's" : "is excluded")
      }
      if let other = requests[index], other != address {
        throw .unavailable(
          address,
          "is in the same range set as \(other): an attachment gets one address of each set")
      }
      requests[index] = address
    }
    return requests
  }
}

extension LeaseStore {
  /// A requested address, which is free or whose lease is stale.
  fileprivate mutating func require(
    _ address: IPAddress, report: (String) -> Void
  ) throws(StoreError) -> IPAddress {
    let lease = try storeFiles { () throws(SystemError) in try leases.lease(of: address) }
    guard let lease else { return address }
    guard let holder = lease.holder.attachment,
      try storeFiles({ () throws(SystemError) in try reclaim(of: [holder], report: report) })
    else {
      throw .taken(address, by: lease.holder)
    }
    return address
  }

  /// The next free address of a range set; if there is none, stale leases are freed.
  fileprivate mutating func find(
    in set: RangeSet, _ index: Int, report: (String) -> Void
  ) throws(StoreError) -> IPAddress {
    var used = 0
    let address = try storeFiles { () throws(SystemError) -> IPAddress? in
      if let address = try firstFree(in: set, index) { return address }
      if try reclaim(report: report), let address = try firstFree(in: set, index) { return address }
      used = try leases.used(of: set)
      return nil
    }
    guard let address else { throw .exhausted(set, used: used) }
    return address
  }

  private borrowing func firstFree(
    in set: RangeSet, _ index: Int
  ) throws(SystemError) -> IPAddress? {
    try leases.firstFree(in: set, after: try leases.lastGiven(from: index))
  }
}

/// Runs steps on the files of the store. Their errors become a `StoreError`.
func storeFiles<Value>(
  _ steps: () throws(SystemError) -> Value
) throws(StoreError) -> Value {
  do throws(SystemError) { return try steps() } catch { throw .system(error) }
}

extension Directory {
  /// The next free address, in a directory of lease files; nil if none is free. Nothing is changed.
  /// - Parameter last: the last address leased, after which the search begins. With nil, or an address in none
  ///   of the ranges, it begins with the first range.
  public borrowing func firstFree(
    in set: RangeSet, after last: IPAddress?
  ) throws(SystemError) -> IPAddress? {
    try set.firstFree(
      after: last,
      isTaken: { (address) throws(SystemError) in
        guard let status = try status(of: address.description) else { return false }
        return status.st_size > 0 || status.st_mode & mode_t(S_IFMT) != mode_t(S_IFREG)
      },
      leased: { () throws(SystemError) in
        try leased().compactMap { $0.family == set.family ? $0.value : nil }
      })
  }

  /// How many addresses of a range set have a lease file.
  public borrowing func used(of set: RangeSet) throws(SystemError) -> Int {
    try leased().count { set.canLease($0) }
  }
}
