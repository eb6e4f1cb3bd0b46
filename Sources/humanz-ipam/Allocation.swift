import CNI
import CNetlink

/// What an attachment asks the store for.
struct Allocation {
  let attachment: Attachment
  let namespace: String
  /// The node's end of the pair; nil where it is not known.
  let hostInterface: InterfaceName?
  let pools: Pools
  let requested: [IPAddress]

  /// Leases one address of each range set, in the order of the sets.
  /// - Returns: the addresses with their prefix lengths and gateways.
  /// - Parameter log: is told of leases that were left behind and are given anew.
  func make(in store: inout LeaseStore, log: Log) throws(StoreError) -> [ResultIP] {
    // Before anything is looked for: a full pool must not hide that the attachment has an address.
    let held = try store.addresses(of: attachment)
    guard held.isEmpty else { throw .holds(attachment, held) }
    let wishes = try wishes()
    var addresses: [IPAddress] = []
    var given: [(set: Int, address: IPAddress)] = []
    for (index, set) in pools.sets.enumerated() {
      if let wish = wishes[index] {
        addresses.append(try store.require(wish, log: log))
      } else {
        let address = try store.find(in: set, index, log: log)
        addresses.append(address)
        given.append((index, address))
      }
    }
    try store.note(pools)
    try store.lease(
      AttachmentRecord(
        attachment, addresses: addresses, namespace: namespace, hostInterface: hostInterface,
        bootID: Boot.id, time: Clock.timestamp()),
      given: given)
    return addresses.map { address in
      let range = pools.range(of: address)!
      return ResultIP(
        IPPrefix(address, length: range.subnet.length), gateway: range.gateway)
    }
  }

  /// For each range set the address asked for, nil where any will do.
  private func wishes() throws(StoreError) -> [IPAddress?] {
    var wishes = [IPAddress?](repeating: nil, count: pools.sets.count)
    for address in requested {
      guard let index = pools.sets.firstIndex(where: { $0.range(of: address) != nil }) else {
        throw .unavailable(address, "is in none of the ranges")
      }
      let set = pools.sets[index]
      guard set.gives(address) else {
        let isGateway = pools.gateways.contains(address)
        throw .unavailable(address, isGateway ? "is the gateway's" : "is excluded")
      }
      if let other = wishes[index], other != address {
        throw .unavailable(address, "is of the same range set as \(other)")
      }
      wishes[index] = address
    }
    return wishes
  }
}

extension LeaseStore {
  /// A requested address, if it is free or was left behind.
  fileprivate mutating func require(
    _ address: IPAddress, log: Log
  ) throws(StoreError) -> IPAddress {
    guard let lease = try leases.lease(of: address) else { return address }
    guard let holder = lease.holder.attachment, try reclaim(of: [holder], log: log) else {
      throw .taken(address, by: lease.holder)
    }
    return address
  }

  /// The next free address of a range set; where there is none, leases that were left behind are freed.
  fileprivate mutating func find(
    in set: RangeSet, _ index: Int, log: Log
  ) throws(StoreError) -> IPAddress {
    if let address = try firstFree(in: set, index) { return address }
    if try reclaim(log: log), let address = try firstFree(in: set, index) { return address }
    throw .exhausted(set, used: try leases.used(of: set))
  }

  private borrowing func firstFree(
    in set: RangeSet, _ index: Int
  ) throws(StoreError) -> IPAddress? {
    try leases.firstFree(in: set, after: try leases.lastGiven(from: index))
  }
}

extension Directory {
  /// The next free address, in a directory of lease files. Nothing is changed.
  borrowing func firstFree(
    in set: RangeSet, after last: IPAddress?
  ) throws(StoreError) -> IPAddress? {
    try set.firstFree(
      after: last,
      isTaken: { (address) throws(StoreError) in
        guard let status = try status(of: address.description) else { return false }
        return status.st_size > 0 || status.st_mode & mode_t(S_IFMT) != mode_t(S_IFREG)
      },
      leased: { () throws(StoreError) in
        try leased().compactMap { $0.family == set.family ? $0.value : nil }
      })
  }

  /// How many addresses of a range set are leased.
  borrowing func used(of set: RangeSet) throws(StoreError) -> Int {
    try leased().count { set.gives($0) }
  }
}
