import Addresses
import CNI
import CNetlink
import Embedded
import Node
import System

/// The leases of one network, locked for as long as this is there.
///
/// The lease files, in host-local's layout, are the truth: `<dataDir>/<network>/<address>`, and
/// `last_reserved_ip.<range set>` beside them. The attachment files in `attachments/` lead from an
/// attachment to its addresses. They are written before the leases and removed after them, so that
/// a lease of ours always has one, wherever a process was killed.
public struct LeaseStore: ~Copyable {
  /// How long the lock is waited for, in seconds.
  public static let patience = 10

  public let leases: Directory
  public let attachments: Directory
  private let lock: StoreLock
  /// Whether every lease is known to be in its attachment's file.
  var isIndexed: Bool
  /// Whether bringing that about failed, or is not to be tried.
  var cannotIndex: Bool

  /// Opens and locks the store of a network.
  /// - Parameter make: whether to make it; nil is returned where there is none otherwise.
  public init?(
    _ network: NetworkName, in dataDirectory: String, make: Bool, patience: Int = patience
  ) throws(SystemError) {
    guard let leases = try Directory(network.description, in: dataDirectory, make: make) else {
      return nil
    }
    let lock = try StoreLock(in: leases, seconds: patience)
    let attachments = try LeaseStore.attachments(in: leases, make: make)
    let isMarked = try leases.isMarked
    self.leases = leases
    self.attachments = attachments
    self.lock = lock
    isIndexed = isMarked
    cannotIndex = self.attachments.path.utf8.last == UInt8(ascii: ".")
  }

  /// The directory of the attachments' files. Where there is no room for it, as on a full disk with a
  /// store of host-local's, it is that of the leases, where none is, and these can be freed all the same.
  private static func attachments(
    in leases: borrowing Directory, make: Bool
  ) throws(SystemError) -> Directory {
    let name = "attachments"
    do throws(SystemError) {
      if let directory = try leases.directory(name, make: true) { return directory }
    } catch {
      guard !make, [.noSpace, .readOnlyFileSystem].contains(error.errno) else { throw error }
    }
    return try leases.directory(".", make: false)!
  }

  /// The addresses that an attachment holds.
  public mutating func addresses(of attachment: Attachment) throws(SystemError) -> [IPAddress] {
    if !isIndexed { try? index() }
    if isIndexed {
      guard let text = try attachments.read(attachment.fileName) else { return [] }
      if let record = AttachmentRecord(attachment, parsing: text) {
        return try leases.held(by: attachment, among: record.addresses)
      }
    }
    // The file does not say, as on a disk that is full or damaged: every lease is looked at.
    return try leases.held(by: attachment, among: leases.leased())
  }

  /// Leases addresses, all or none of them.
  /// - Parameter given: which range sets they were found in, as the last one given of each.
  /// - Precondition: the attachment holds none yet.
  /// - Throws: `taken` where another attachment holds one of them.
  mutating func lease(
    _ record: AttachmentRecord, given: [(set: Int, address: IPAddress)] = []
  ) throws(StoreError) {
    let taken: (address: IPAddress, holder: Holder)?
    do throws(SystemError) { taken = try claim(record, given) } catch {
      giveUp(record)
      throw .system(error)
    }
    if let taken {
      giveUp(record)
      throw .taken(taken.address, by: taken.holder)
    }
  }

  /// - Returns: the first address that another attachment holds; nil where all are claimed.
  private mutating func claim(
    _ record: AttachmentRecord, _ given: [(set: Int, address: IPAddress)]
  ) throws(SystemError) -> (address: IPAddress, holder: Holder)? {
    // Before the attachment's file: one that is older than the lease was not written for it.
    try attachments.write(LeaseStore.newLease, record.attachment.leaseContent, durable: true)
    try write(record, durable: true)
    for address in record.addresses {
      if let holder = try claim(address) { return (address, holder) }
    }
    try attachments.remove(LeaseStore.newLease)
    for (set, address) in given { try setLastGiven(address, from: set) }
    try settle()
    return nil
  }

  /// Takes back what a lease that failed has made so far.
  private mutating func giveUp(_ record: AttachmentRecord) {
    for name in [LeaseStore.newLease, LeaseStore.newFile] { _ = try? attachments.remove(name) }
    let claimed = try? leases.held(by: record.attachment, among: record.addresses)
    try? free(claimed ?? [], of: record.attachment)
  }

  /// Makes the lease file of an address appear whole.
  /// - Returns: who holds the address; nil where it is claimed.
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

  /// Frees what an attachment holds. Where it holds nothing, nothing is done.
  /// - Parameter body: is told what, before anybody else can have it.
  public mutating func release(
    _ attachment: Attachment, _ body: ([IPAddress]) -> Void = { _ in }
  ) throws(SystemError) {
    let held = try addresses(of: attachment)
    body(held)
    try free(held, of: attachment)
  }

  /// Removes an attachment's leases, then its file, which is the way to them.
  private borrowing func free(
    _ addresses: [IPAddress], of attachment: Attachment
  ) throws(SystemError) {
    for address in addresses { try leases.remove(address.description) }
    if !addresses.isEmpty { try leases.sync() }
    guard try attachments.remove(attachment.fileName) || !addresses.isEmpty else { return }
    try settle()
  }

  /// Frees one address, whoever holds it; its attachment keeps its others.
  /// - Returns: who held it; nil where nobody did.
  public mutating func release(_ address: IPAddress) throws(SystemError) -> Holder? {
    try? index()
    guard let lease = try leases.lease(of: address) else { return nil }
    try leases.remove(address.description)
    if let attachment = lease.holder.attachment, var record = try attachments.record(of: attachment)
    {
      record.addresses.removeAll { $0 == address }
      if record.addresses.isEmpty {
        try attachments.remove(attachment.fileName)
      } else {
        try write(record, durable: true)
      }
    }
    try settle()
    return lease.holder
  }

  // MARK: The last address given

  private borrowing func setLastGiven(
    _ address: IPAddress, from set: Int
  ) throws(SystemError) {
    try attachments.write(LeaseStore.newFile, Array(address.description.utf8))
    try attachments.rename(LeaseStore.newFile, to: lastGivenFile(set), in: leases)
  }

  // MARK: Attachment files

  /// - Parameter durable: whether it is to be on the disk when this returns.
  borrowing func write(_ record: AttachmentRecord, durable: Bool) throws(SystemError) {
    try attachments.write(LeaseStore.newFile, record.text, durable: durable)
    try attachments.rename(
      LeaseStore.newFile, to: record.attachment.fileName, in: attachments)
    if durable { try attachments.sync() }
  }

  // MARK: The pools

  /// What the leases were last given from; nil where only host-local has given any.
  public borrowing func pools() throws(SystemError) -> Pools? {
    guard let text = try attachments.read(LeaseStore.poolsFile),
      let object = (try? JSON(parsing: text))?.object
    else { return nil }
    return try? Pools(Keys(object))
  }

  /// Keeps the pools for the commands of a person, who has no configuration on stdin.
  borrowing func note(_ pools: Pools) throws(SystemError) {
    let text = pools.json.text
    let mark = TimeMark(text)
    if mark.isOn(try attachments.status(of: LeaseStore.poolsFile)) { return }
    try attachments.write(LeaseStore.newFile, text)
    try attachments.set(mark, on: LeaseStore.newFile)
    try attachments.rename(LeaseStore.newFile, to: LeaseStore.poolsFile, in: attachments)
  }

  private static let poolsFile = ".pools"

  /// What every file is written as before it gets its name. The lock keeps it to one process; one that
  /// was killed may leave it, and the next one replaces it.
  private static let newFile = ".new"
  private static let newLease = ".lease"

  /// Ends a change: marks the store as ours, and has it on the disk.
  borrowing func settle() throws(SystemError) {
    if isIndexed { try leases.mark() }
    try leases.sync()
  }
}

extension Directory {
  /// The attachments that have a file in this directory.
  public borrowing func attachments() throws(SystemError) -> [Attachment] {
    try names().compactMap { Attachment(fileName: $0) }
  }

  /// What an attachment's file says; nil where there is none, or it says nothing.
  public borrowing func record(of attachment: Attachment) throws(SystemError) -> AttachmentRecord? {
    guard let text = try read(attachment.fileName) else { return nil }
    return AttachmentRecord(attachment, parsing: text)
  }

  /// The last address given from a range set; nil where none was.
  public borrowing func lastGiven(from set: Int) throws(SystemError) -> IPAddress? {
    guard let text = try read(lastGivenFile(set)) else { return nil }
    return IPAddress(String(decoding: text.filter { $0 > 0x20 }, as: UTF8.self))
  }
}

/// As host-local names it.
private func lastGivenFile(_ set: Int) -> String { "last_reserved_ip.\(set)" }
