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

  func release(_ attachment: Attachment) throws(CNIError) {
    try changeStore { (store) throws(StoreError) in try store.release(attachment) }
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

  /// Whether each range set has a free address, or one that can be had back. It takes no lock.
  /// - Throws: error 50 with what is used.
  func status() throws(CNIError) {
    let pools = try configuration.pools
    do throws(StoreError) {
      guard let all = try Directory(path: configuration.dataDirectory, make: false),
        let leases = try all.directory(network.description, make: false)
      else { return }
      if let error = leases.unwritable {
        throw .system(attempt: "write", path: leases.path, errno: error)
      }
      for (index, set) in pools.sets.enumerated() {
        let last = try leases.lastGiven(from: index)
        if try leases.firstFree(in: set, after: last) != nil { continue }
        if let attachments = try leases.directory("attachments", make: false),
          try !attachments.leftBehind().isEmpty
        {
          continue
        }
        throw .exhausted(set, used: try leases.leased().count { set.gives($0) })
      }
    } catch {
      let error = CNIError(error)
      throw CNIError(.notAvailable, error.message, details: error.details)
    }
  }
}
