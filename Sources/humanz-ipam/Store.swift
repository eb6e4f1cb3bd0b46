import Addresses
import CNI
import Embedded
import Leases
import Netlink
import Node
import System

/// What an ADD asks the store for, with what goes into the result beside the addresses.
struct AddressRequest {
  let allocation: Allocation
  let routes: [ResultRoute]
  let dns: JSONObject?
}

/// The lease store of a network: opened and locked for each step.
struct Store {
  private let network: NetworkName
  private let dataDirectory: String
  private let log: Log

  init(_ network: NetworkName, in dataDirectory: String, log: Log) {
    self.network = network
    self.dataDirectory = dataDirectory
    self.log = log
  }

  /// Leases what is asked for.
  /// - Returns: the addresses, which name no interface, with the routes and DNS of the request.
  func allocate(_ request: AddressRequest) throws(CNIError) -> CNIResult {
    var result = CNIResult()
    result.routes = request.routes
    result.dns = request.dns
    try change(make: true) { (store) throws(StoreError) in
      result.ips = try request.allocation.make(in: &store) { log.write("\(IPAMPlugin.name) \($0)") }
    }
    return result
  }

  /// Frees the addresses of an attachment.
  /// - Parameter body: gets them before another attachment can lease them.
  func release(
    _ attachment: Attachment, _ body: ([IPAddress]) -> Void = { _ in }
  ) throws(CNIError) {
    try change { (store) throws(StoreError) in
      do throws(SystemError) { try store.release(attachment, body) } catch { throw .system(error) }
    }
  }

  /// Frees the addresses of all attachments but the valid ones, going on after errors.
  func collect(keeping valid: [Attachment]) throws(CNIError) {
    var errors: [SystemError] = []
    try change { (store) throws(StoreError) in errors = store.collect(keeping: valid) }
    if let error = CNIError.combined(errors.map { CNIError($0) }) { throw error }
  }

  /// CHECK: the attachment holds addresses, and those of the result are among them.
  /// - Throws: error 102.
  func check(
    _ attachment: Attachment, in result: CNIResult?, _ pools: Pools, namespace: String
  ) throws(CNIError) {
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
    try change { (store) throws(StoreError) in
      do throws(SystemError) { held = try store.addresses(of: attachment) } catch {
        throw .system(error)
      }
    }
    return held
  }

  /// Opens and locks the store for a change. Without `make`, a missing store is left alone.
  private func change(
    make: Bool = false, _ change: (inout LeaseStore) throws(StoreError) -> Void
  ) throws(CNIError) {
    do throws(StoreError) {
      guard var store = try open(make: make) else { return }
      try change(&store)
    } catch {
      throw CNIError(error)
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

  /// STATUS: each range set has a free address, or one that can be reclaimed, and there is room for its
  /// lease. It takes no lock.
  /// - Throws: error 120 for a full range set, 5 where no lease can be written.
  func checkFree(_ pools: Pools) throws(CNIError) {
    var full: (set: RangeSet, used: Int)?
    do throws(SystemError) {
      guard let leases = try Directory(network.description, in: dataDirectory, make: false) else {
        try Directory(path: dataDirectory, make: false, nearest: true)?.checkWritable()
        return
      }
      try leases.checkWritable()
      for (index, set) in pools.sets.enumerated()
      where try leases.firstFree(in: set, after: leases.lastGiven(from: index)) == nil {
        guard try !leases.canReclaim(from: set) else { continue }
        full = (set, try leases.used(of: set))
        break
      }
    } catch {
      throw CNIError(error)
    }
    if let full { throw CNIError(StoreError.exhausted(full.set, used: full.used)) }
  }
}

extension Store {
  init(_ network: NetworkName, _ configuration: IPAMConfiguration) {
    self.init(network, in: configuration.dataDirectory, log: configuration.log)
  }

  init(_ network: NetworkName, _ references: StoreReferences) {
    self.init(network, in: references.dataDirectory, log: Log(path: ""))
  }
}

extension Directory {
  fileprivate borrowing func checkWritable() throws(SystemError) {
    if let errno = unwritable { throw SystemError("write \(path)", errno) }
  }

  /// Whether an address of a set is leased to an attachment that left it behind.
  fileprivate borrowing func canReclaim(from set: RangeSet) throws(SystemError) -> Bool {
    guard let attachments = try directory("attachments", make: false) else { return false }
    for (record, _) in try attachments.leftBehind(among: attachments.attachments()) {
      let given = record.addresses.filter { set.gives($0) }
      if try !held(by: record.attachment, among: given).isEmpty { return true }
    }
    return false
  }
}
