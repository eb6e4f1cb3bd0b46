// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded
import Leases
import Node
import System

/// A network's lease store, opened and locked for each operation.
struct Store {
  private let network: NetworkName
  private let dataDirectory: String
  private let log: Log

  init(_ network: NetworkName, _ configuration: IPAMConfiguration) {
    self.network = network
    dataDirectory = configuration.dataDirectory
    log = configuration.log
  }

  init(_ network: NetworkName, _ location: StoreLocation) {
    self.network = network
    dataDirectory = location.dataDirectory
    log = Log(path: "")
  }

  /// Leases the requested or the next free addresses, and frees them after a trap. Logs stale leases that it
  /// reclaims.
  func lease(_ allocation: Allocation) throws(CNIError) -> [ResultIP] {
    var ips: [ResultIP] = []
    try withStore(make: true) { (store) throws(StoreError) in
      ips = try allocation.make(
        in: &store, report: { log.write("\(IPAMPlugin.name) \($0)") },
        willLease: { Trap.push { try? release(allocation.attachment) } })
    }
    return ips
  }

  /// Frees the addresses of an attachment.
  /// - Parameter body: is called with them before another attachment can lease them.
  func release(
    _ attachment: Attachment, _ body: ([IPAddress]) throws(SystemError) -> Void = { _ in }
  ) throws(CNIError) {
    try withStore { (store) throws(StoreError) in
      do throws(SystemError) { try store.release(attachment, body) } catch { throw .system(error) }
    }
  }

  /// Runs `body` with the store locked, if no other attachment has a lease.
  func ifHoldsAll(_ attachment: Attachment, _ body: () -> Void) {
    try? withStore { (store) throws(StoreError) in
      if (try? store.holdsAll(attachment)) == true { body() }
    }
  }

  /// Frees the addresses of all attachments but the valid ones. Continues after an error.
  func collect(keeping valid: [Attachment]) throws(CNIError) {
    var errors: [SystemError] = []
    try withStore { (store) throws(StoreError) in errors = store.freeAll(except: valid) }
    if let error = CNIError.combined(errors.map { CNIError($0) }) { throw error }
  }

  /// CHECK: each lease of the attachment is in the result, and each address of the result that is in the pools
  /// is leased to it.
  /// - Throws: error 102.
  func check(
    _ attachment: Attachment, in result: CNIResult?, _ pools: Pools, namespace: String
  ) throws(CNIError) {
    let held = try addresses(of: attachment)
    guard !held.isEmpty else {
      throw CNIError(
        .checkFailed, "\(attachment.title) holds no address on the network \(network)",
        details: "call DEL, then ADD: the ADD leases one")
    }
    guard let result else { return }
    for address in held where !result.ips.contains(where: { $0.address.address == address }) {
      throw CNIError(
        .checkFailed, "\(attachment.title) holds \(address), which is not in the result")
    }
    let index = result.interface(attachment.interface, sandbox: namespace)?.index
    for ip in result.ips
    where (ip.interface == nil || ip.interface == index)
      && pools.range(of: ip.address.address) != nil && !held.contains(ip.address.address)
    {
      throw CNIError(
        .checkFailed,
        "the address \(ip.address.address) is not leased to \(attachment.title)")
    }
  }

  private func addresses(of attachment: Attachment) throws(CNIError) -> [IPAddress] {
    var held: [IPAddress] = []
    try withStore { (store) throws(StoreError) in
      do throws(SystemError) { held = try store.addresses(of: attachment) } catch {
        throw .system(error)
      }
    }
    return held
  }

  /// Opens and locks the store, and calls `body` with it.
  /// - Parameter make: whether to make a missing store; without it nothing is done.
  private func withStore(
    make: Bool = false, _ body: (inout LeaseStore) throws(StoreError) -> Void
  ) throws(CNIError) {
    do throws(StoreError) {
      guard var store = try open(make: make) else { return }
      try body(&store)
    } catch {
      throw CNIError(error, network: network)
    }
  }

  private func open(make: Bool) throws(StoreError) -> LeaseStore? {
    do throws(SystemError) {
      return try LeaseStore(network, in: dataDirectory, make: make)
    } catch {
      throw .system(error)
    }
  }

  // MARK: - STATUS

  /// STATUS: each range set has a free address, or one that can be reclaimed, and a lease can be
  /// written. Takes no lock.
  /// - Returns: the stored part of the last ADD's configuration; nil before the first ADD.
  /// - Throws: error 120 for a full range set, 5 if no lease can be written.
  func checkFree(_ pools: Pools) throws(CNIError) -> StoreSummary? {
    var full: (set: RangeSet, used: Int)?
    var summary: StoreSummary?
    do throws(SystemError) {
      guard let leases = try Directory(network.description, in: dataDirectory, make: false) else {
        try Directory(path: dataDirectory, make: false, nearest: true)?.checkWritable()
        return nil
      }
      try leases.checkWritable()
      for (index, set) in pools.sets.enumerated()
      where try leases.firstFree(in: set, after: leases.lastGiven(from: index)) == nil {
        guard try !leases.canReclaim(from: set) else { continue }
        full = (set, try leases.used(of: set))
        break
      }
      summary = try leases.directory("attachments", make: false)?.summary()
    } catch {
      throw CNIError(error)
    }
    if let full {
      throw CNIError(StoreError.exhausted(full.set, used: full.used), network: network)
    }
    return summary
  }
}

extension Directory {
  fileprivate borrowing func checkWritable() throws(SystemError) {
    if let errno = reasonUnwritable { throw SystemError("write \(path)", errno) }
  }

  /// Whether an address of a set has a stale lease.
  fileprivate borrowing func canReclaim(from set: RangeSet) throws(SystemError) -> Bool {
    guard let attachments = try directory("attachments", make: false) else { return false }
    for (record, _) in try attachments.stale(among: attachments.attachments()) {
      let addresses = record.addresses.filter { set.canLease($0) }
      if try !held(by: .attachment(record.attachment), among: addresses).isEmpty { return true }
    }
    return false
  }
}
