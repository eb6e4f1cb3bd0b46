import CNI
import CNetlink
import Stage

// The steps of the verbs that have to do with the store.
extension IPAMPlugin {
  /// Leases what the configuration asks for.
  func allocate(
    for attachment: Attachment, namespace: String, hostInterface: InterfaceName?
  ) throws(CNIError) -> CNIResult {
    var result = CNIResult()
    result.routes = try configuration.routes
    result.dns = try configuration.dns
    let allocation = Allocation(
      attachment: attachment, namespace: namespace, hostInterface: hostInterface,
      pools: try configuration.pools, requested: try configuration.requestedAddresses)
    let log = invocation.configuration.log
    try changeStore(make: true) { (store) throws(StoreError) in
      result.ips = try allocation.make(in: &store, log: log)
    }
    return result
  }

  /// Frees what an attachment holds.
  /// - Parameter body: is told what, before anybody else can have it.
  func release(
    _ attachment: Attachment, _ body: ([IPAddress]) -> Void = { _ in }
  ) throws(CNIError) {
    try changeStore { (store) throws(StoreError) in try store.release(attachment, body) }
  }

  /// What an attachment holds.
  func addresses(of attachment: Attachment) throws(CNIError) -> [IPAddress] {
    var held: [IPAddress] = []
    try changeStore { (store) throws(StoreError) in held = try store.addresses(of: attachment) }
    return held
  }

  /// Opens and locks the network's store for a change; where there is none and none is to be made,
  /// nothing is done.
  func changeStore(
    make: Bool = false, _ change: (inout LeaseStore) throws(StoreError) -> Void
  ) throws(CNIError) {
    do throws(StoreError) {
      guard
        var store = try LeaseStore(network, in: configuration.dataDirectory, make: make)
      else { return }
      try change(&store)
    } catch {
      throw CNIError(error)
    }
  }

  /// CHECK: the attachment holds addresses, and those of the result are among them.
  /// - Throws: error 102.
  func checkLeases(of attachment: Attachment, _ result: CNIResult?) throws(CNIError) {
    let held = try addresses(of: attachment)
    guard !held.isEmpty else {
      throw CNIError(
        .checkFailed, "\(attachment.title) holds no address on the network \(network)")
    }
    guard let result else { return }
    for address in held where !result.ips.contains(where: { $0.address.address == address }) {
      throw CNIError(
        .checkFailed, "the lease of \(address) is not in the result",
        details: "\(attachment.title) holds it")
    }
    let pools = try configuration.pools
    let index = result.interfaces.firstIndex {
      $0.name == attachment.interface.description && $0.sandbox == invocation.namespace
    }
    for ip in result.ips
    where (ip.interface == nil || ip.interface == index)
      && pools.range(of: ip.address.address) != nil && !held.contains(ip.address.address)
    {
      throw CNIError(
        .checkFailed,
        "the address \(ip.address.address) is not leased to \(attachment.title)")
    }
  }

  /// Whether the next ADD could be served. It takes no lock.
  /// - Throws: error 50 with what is used; 7 for a key.
  func status() throws(CNIError) {
    do throws(CNIError) {
      _ = try (configuration.routes, configuration.dns, configuration.requestedAddresses)
      try checkFree(configuration.pools)
    } catch {
      guard error.code != .invalidConfiguration else { throw error }
      throw CNIError(.notAvailable, error.message, details: error.details)
    }
  }

  /// Each range set has a free address, or one that can be had back, and there is room for its lease.
  private func checkFree(_ pools: Pools) throws(CNIError) {
    do throws(StoreError) {
      guard
        let leases = try Directory(
          network.description, in: configuration.dataDirectory, make: false)
      else {
        try Directory(path: configuration.dataDirectory, make: false, nearest: true)?
          .checkWritable()
        return
      }
      try leases.checkWritable()
      for (index, set) in pools.sets.enumerated()
      where try leases.firstFree(in: set, after: leases.lastGiven(from: index)) == nil {
        guard try leases.canReclaim(from: set) else {
          throw .exhausted(set, used: try leases.used(of: set))
        }
      }
    } catch {
      throw CNIError(error)
    }
  }
}

extension Directory {
  fileprivate borrowing func checkWritable() throws(StoreError) {
    if let errno = unwritable { throw .system(attempt: "write", path: path, errno: errno) }
  }

  /// Whether an address of a set is leased to somebody who left it behind.
  fileprivate borrowing func canReclaim(from set: RangeSet) throws(StoreError) -> Bool {
    guard let attachments = try directory("attachments", make: false) else { return false }
    for (record, _) in try attachments.leftBehind(among: attachments.attachments()) {
      let given = record.addresses.filter { set.gives($0) }
      if try !held(by: record.attachment, among: given).isEmpty { return true }
    }
    return false
  }
}
