// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import CNetlink
import Embedded
import System

/// The leases of one network, locked for as long as this value lives.
///
/// The lease files, in host-local's layout, are authoritative: `<dataDir>/<network>/<address>`, and
/// `last_reserved_ip.<range set>` beside them. The attachment files in `attachments/` are the index: they
/// lead from an attachment to its addresses. They are written before the leases and removed after them:
/// every lease of ours has an attachment file, whenever a process is killed.
///
/// Its methods throw the error of the file that cannot be read, written or removed.
public struct LeaseStore: ~Copyable {
  /// How long to wait for the lock unless told otherwise, in seconds.
  public static let patience = 10
  static let attachmentFolder = "attachments"

  /// The directory of the lease files.
  public let leases: Directory
  /// The directory of the attachment files. If it cannot be made, as on a full disk, it is the lease
  /// directory.
  public let attachments: Directory
  private let lock: StoreLock
  var state: IndexState
  /// Whether completing the index failed, or is not to be tried.
  var cannotIndex: Bool

  /// Opens and locks the store of a network. The folder `attachments` in it is made if it is missing, in any
  /// case.
  /// - Parameters:
  ///   - make: whether to make a missing store; without it a missing store is nil.
  ///   - patience: how long to wait for the lock, in seconds, at least 1.
  /// - Throws: `wouldBlock` if another process holds the lock all that time.
  public init?(
    _ network: NetworkName, in dataDirectory: String, make: Bool, patience: Int = patience
  ) throws(SystemError) {
    guard let leases = try Directory(network.description, in: dataDirectory, make: make) else {
      return nil
    }
    let lock = try StoreLock(in: leases, seconds: patience)
    let attachments = try LeaseStore.attachments(in: leases, make: make)
    let state = try leases.indexState
    self.leases = leases
    self.attachments = attachments
    self.lock = lock
    self.state = state
    cannotIndex = self.attachments.path.utf8.last == UInt8(ascii: ".")
  }

  /// The directory of the attachment files. If it cannot be made because the disk is full
  /// or read-only, this is the lease directory: leases can still be freed.
  private static func attachments(
    in leases: borrowing Directory, make: Bool
  ) throws(SystemError) -> Directory {
    do throws(SystemError) {
      if let directory = try leases.directory(attachmentFolder, make: true) { return directory }
    } catch {
      guard !make, [.noSpace, .readOnlyFileSystem].contains(error.errno) else { throw error }
      if let directory = try leases.directory(attachmentFolder, make: false) { return directory }
    }
    return try leases.directory(".", make: false)!
  }

  /// The addresses that an attachment holds. Leases of its container in host-local's oldest form, which
  /// name no interface, count if it holds no others.
  public mutating func addresses(of attachment: Attachment) throws(SystemError) -> [IPAddress] {
    if state == .incomplete { try? index() }
    if state != .incomplete, let held = try indexed(attachment),
      !held.isEmpty || state == .complete
    {
      return held
    }
    return try addressesByReadingAll(of: attachment)
  }

  /// As `addresses`, if the index has no answer, because there are leases in the oldest form or the disk is
  /// full or damaged: reads every lease.
  private mutating func addressesByReadingAll(
    of attachment: Attachment
  ) throws(SystemError) -> [IPAddress] {
    var held: [IPAddress] = []
    var heldByContainer: [IPAddress] = []
    var hasOldForm = false
    for address in try leases.leased() {
      switch try leases.lease(of: address)?.holder {
      case .attachment(attachment): held.append(address)
      case .container(let containerID):
        hasOldForm = true
        if containerID == attachment.containerID { heldByContainer.append(address) }
      case .attachment, .unknown, nil: break
      }
    }
    if state == .completeExceptOldForm, !hasOldForm { state = .complete }
    return held.isEmpty ? heldByContainer : held
  }

  /// The leases that an attachment's file leads to; nil if the file cannot be read.
  borrowing func indexed(_ attachment: Attachment) throws(SystemError) -> [IPAddress]? {
    let text: [UInt8]?
    do throws(SystemError) {
      text = try attachments.read(attachment.fileName, limit: AttachmentRecord.sizeLimit)
    } catch {
      guard error.isNotAFile else { throw error }
      return nil
    }
    guard let text else { return [] }
    guard let record = AttachmentRecord(attachment, parsing: text) else { return nil }
    return try leases.held(by: .attachment(attachment), among: record.addresses)
  }

  /// Whether an attachment holds all leases of the network.
  public mutating func holdsAll(_ attachment: Attachment) throws(SystemError) -> Bool {
    try leases.leased().count == addresses(of: attachment).count
  }

  // MARK: Leasing

  /// Leases addresses, all or none of them.
  /// - Parameter given: the range set of each, whose last leased address it becomes.
  /// - Precondition: the attachment holds none yet.
  /// - Throws: `taken` if another attachment holds one of them.
  mutating func lease(
    _ record: AttachmentRecord, given: [(set: Int, address: IPAddress)] = []
  ) throws(StoreError) {
    let taken: (address: IPAddress, holder: Holder)?
    do throws(SystemError) { taken = try claim(record, given) } catch {
      undoLease(of: record)
      throw .system(error)
    }
    if let taken {
      undoLease(of: record)
      throw .taken(taken.address, by: taken.holder)
    }
  }

  /// - Returns: the first address that another attachment holds; nil if all are claimed.
  private mutating func claim(
    _ record: AttachmentRecord, _ given: [(set: Int, address: IPAddress)]
  ) throws(SystemError) -> (address: IPAddress, holder: Holder)? {
    // Before the attachment's file is written: an attachment's file that is older than the lease is ignored.
    try attachments.write(LeaseStore.newLease, record.attachment.leaseContent, durable: true)
    try write(record, durable: true)
    for address in record.addresses {
      if let holder = try claim(address) { return (address, holder) }
    }
    try attachments.remove(LeaseStore.newLease)
    for (set, address) in given { try setLastGiven(address, from: set) }
    try finishChange()
    return nil
  }

  /// Removes what a failed lease has made so far.
  private mutating func undoLease(of record: AttachmentRecord) {
    for name in [LeaseStore.newLease, LeaseStore.newFile] { _ = try? attachments.remove(name) }
    // If the leases cannot be read, keep the file that leads to them, and leave the store unmarked.
    guard
      let claimed = try? leases.held(by: .attachment(record.attachment), among: record.addresses)
    else { return }
    try? free(claimed, of: record.attachment)
  }

  /// Makes the lease file of an address in one step: no reader sees a part of it.
  /// - Returns: who holds the address; nil if it is claimed.
  private borrowing func claim(_ address: IPAddress) throws(SystemError) -> Holder? {
    let name = address.description
    if try attachments.link(LeaseStore.newLease, as: name, in: leases) { return nil }
    // An empty file is not a lease: a killed host-local left it.
    let holder = try leases.lease(of: address)?.holder
    if holder == nil, try leases.remove(name),
      try attachments.link(LeaseStore.newLease, as: name, in: leases)
    {
      return nil
    }
    return holder ?? .unknown("")
  }

  private borrowing func setLastGiven(
    _ address: IPAddress, from set: Int
  ) throws(SystemError) {
    try attachments.write(LeaseStore.newFile, Array(address.description.utf8))
    try attachments.rename(LeaseStore.newFile, to: lastGivenFile(set), in: leases)
  }

  // MARK: Freeing

  /// Frees what an attachment holds. An attachment without leases loses its file only.
  /// - Parameter body: gets the addresses before another attachment can lease them. If it throws, they stay
  ///   leased.
  public mutating func release(
    _ attachment: Attachment, _ body: ([IPAddress]) throws(SystemError) -> Void = { _ in }
  ) throws(SystemError) {
    let held = try addresses(of: attachment)
    try body(held)
    try free(held, of: attachment)
  }

  /// Removes an attachment's leases, then its file, which leads to them.
  private borrowing func free(
    _ addresses: [IPAddress], of attachment: Attachment
  ) throws(SystemError) {
    for address in addresses { try leases.remove(address.description) }
    // Also if this call removed no lease: an earlier call that was killed may have removed one.
    try leases.sync()
    var hadFile = false
    do throws(SystemError) { hadFile = try attachments.removeRecord(of: attachment) } catch {
      // Linux reports a read-only file system for missing files too.
      guard addresses.isEmpty, error.errno == .readOnlyFileSystem else { throw error }
    }
    if hadFile || !addresses.isEmpty { try finishChange() }
  }

  /// Frees one address, of any holder. The holder keeps its other addresses.
  /// - Returns: who held it; nil if nobody did.
  /// - Throws: `isDirectory` if a directory is in the place of the lease file.
  public mutating func release(_ address: IPAddress) throws(SystemError) -> Holder? {
    try? index()
    guard let lease = try leases.lease(of: address) else { return nil }
    try leases.remove(address.description)
    try leases.sync()
    // Without a complete index the file may be outdated. Writing it would make it look current.
    if state != .incomplete, let attachment = lease.holder.attachment,
      var record = try attachments.record(of: attachment)
    {
      record.addresses.removeAll { $0 == address }
      if record.addresses.isEmpty {
        try attachments.removeRecord(of: attachment)
      } else {
        try write(record, durable: true)
      }
    }
    try finishChange()
    return lease.holder
  }

  // MARK: Files

  /// Writes an attachment's file.
  /// - Parameter durable: whether it must be on the disk when this returns.
  borrowing func write(_ record: AttachmentRecord, durable: Bool) throws(SystemError) {
    let name = record.attachment.fileName
    try attachments.write(LeaseStore.newFile, record.text, durable: durable)
    do throws(SystemError) {
      try attachments.rename(LeaseStore.newFile, to: name, in: attachments)
    } catch {
      guard error.errno == .isDirectory, try attachments.removeEmptyDirectory(name) else {
        throw error
      }
      try attachments.rename(LeaseStore.newFile, to: name, in: attachments)
    }
    if durable { try attachments.sync() }
  }

  /// The name of a file until it is complete. The lock allows one at a time. A killed process may leave one,
  /// which the next process replaces.
  static let newFile = ".new"
  private static let newLease = ".lease"

  /// Ends a change: writes the store's directory to the disk, and then marks the directory with the index's
  /// state.
  borrowing func finishChange() throws(SystemError) {
    try leases.sync()
    try leases.mark(state)
  }
}

extension Directory {
  /// The attachments that have a file in this directory, in any order.
  public borrowing func attachments() throws(SystemError) -> [Attachment] {
    try names().compactMap { Attachment(fileName: $0) }
  }

  /// What an attachment's file says; nil if it is missing or cannot be read.
  public borrowing func record(of attachment: Attachment) throws(SystemError) -> AttachmentRecord? {
    guard let text = try readFile(attachment.fileName, limit: AttachmentRecord.sizeLimit) else {
      return nil
    }
    return AttachmentRecord(attachment, parsing: text)
  }

  /// Removes an attachment's file. An empty directory in its place goes too; one with files in it stays,
  /// and is not an error: it leads to no lease.
  /// - Returns: whether something was removed.
  @discardableResult
  borrowing func removeRecord(of attachment: Attachment) throws(SystemError) -> Bool {
    do throws(SystemError) { return try remove(attachment.fileName) } catch {
      guard error.errno == .isDirectory else { throw error }
      return try removeEmptyDirectory(attachment.fileName)
    }
  }

  /// The last address leased from a range set; nil if there is none.
  /// - Parameter set: the index of the set in `Pools.sets`.
  public borrowing func lastGiven(from set: Int) throws(SystemError) -> IPAddress? {
    guard let text = try read(lastGivenFile(set)) else { return nil }
    return IPAddress(String(decoding: text.filter { $0 > 0x20 }))
  }
}

/// As host-local names it.
private func lastGivenFile(_ set: Int) -> String { "last_reserved_ip.\(set)" }
