import CNI
import CNetlink

/// The leases of one network, locked for as long as this is there.
///
/// The lease files, in host-local's layout, are the truth: `<dataDir>/<network>/<address>`, and
/// `last_reserved_ip.<range set>` beside them. The attachment files in `attachments/` lead from an
/// attachment to its addresses. They are written before the leases and removed after them, so that
/// a lease of ours always has one, wherever a process was killed.
struct LeaseStore: ~Copyable {
  /// How long the lock is waited for, in seconds.
  static let patience = 10

  let leases: Directory
  let attachments: Directory
  private let lock: StoreLock
  /// Whether every lease is known to be in its attachment's file.
  var isIndexed: Bool

  /// Opens and locks the store of a network.
  /// - Parameter make: whether to make it; nil is returned where there is none otherwise.
  init?(
    _ network: NetworkName, in dataDirectory: String, make: Bool, patience: Int = patience
  ) throws(StoreError) {
    guard let all = try Directory(path: dataDirectory, make: make),
      let leases = try all.directory(network.description, make: make)
    else { return nil }
    let lock = try StoreLock(in: leases, seconds: patience)
    guard let attachments = try leases.directory("attachments", make: true) else { return nil }
    self.leases = leases
    self.attachments = attachments
    self.lock = lock
    isIndexed = self.leases.isMarked
  }

  /// The lease of an address; nil where there is none. An empty file, as host-local leaves where it is
  /// killed, is none.
  borrowing func lease(of address: IPAddress) throws(StoreError) -> Lease? {
    guard let file = try leases.read(address.description), !file.bytes.isEmpty else { return nil }
    return Lease(address: address, holder: Holder(file.bytes), written: Instant(file.written))
  }

  /// The addresses that an attachment holds.
  mutating func addresses(of attachment: Attachment) throws(StoreError) -> [IPAddress] {
    if !isIndexed { try? index() }
    var candidates: [IPAddress] = []
    if isIndexed, try attachments.size(of: attachment.fileName) == nil { return [] }
    if isIndexed, let record = try attachments.record(of: attachment) {
      candidates = record.addresses
    } else {
      // The file does not say, as on a disk that is full or damaged: every lease is looked at.
      candidates = try leases.leased()
    }
    var held: [IPAddress] = []
    for address in candidates
    where try lease(of: address)?.holder == .attachment(attachment) {
      held.append(address)
    }
    return held
  }

  /// Leases addresses, all or none of them.
  /// - Parameter given: which range sets they were found in, as the last one given of each.
  /// - Throws: `holds` where the attachment has some already, `taken` where another has one of these.
  mutating func lease(
    _ record: AttachmentRecord, given: [(set: Int, address: IPAddress)] = []
  ) throws(StoreError) {
    let held = try addresses(of: record.attachment)
    guard held.isEmpty else { throw .holds(record.attachment, held) }
    do throws(StoreError) {
      try write(record)
      try attachments.write(LeaseStore.newFile, record.attachment.leaseContent)
      for address in record.addresses { try claim(address) }
      try attachments.remove(LeaseStore.newFile)
      for (set, address) in given { try setLastGiven(address, from: set) }
      try settle()
    } catch {
      _ = try? attachments.remove(LeaseStore.newFile)
      try? free(record.addresses, of: record.attachment)
      throw error
    }
  }

  /// Makes the lease file of an address appear whole.
  private borrowing func claim(_ address: IPAddress) throws(StoreError) {
    let name = address.description
    if let lease = try lease(of: address) { throw .taken(address, by: lease.holder) }
    try leases.remove(name)
    try attachments.link(LeaseStore.newFile, as: name, in: leases)
  }

  /// Frees what an attachment holds. Where it holds nothing, nothing is done.
  mutating func release(_ attachment: Attachment) throws(StoreError) {
    try free(try addresses(of: attachment), of: attachment)
  }

  /// Removes an attachment's leases, then its file, which is the way to them.
  private borrowing func free(
    _ addresses: [IPAddress], of attachment: Attachment
  ) throws(StoreError) {
    for address in addresses where try lease(of: address)?.holder == .attachment(attachment) {
      try leases.remove(address.description)
    }
    if !addresses.isEmpty { try leases.sync() }
    guard try attachments.remove(attachment.fileName) || !addresses.isEmpty else { return }
    try settle()
  }

  /// Frees one address, whoever holds it; its attachment keeps its others.
  /// - Returns: who held it; nil where nobody did.
  mutating func release(_ address: IPAddress) throws(StoreError) -> Holder? {
    try index()
    guard let lease = try lease(of: address) else { return nil }
    try leases.remove(address.description)
    if let attachment = lease.holder.attachment, var record = try attachments.record(of: attachment)
    {
      record.addresses.removeAll { $0 == address }
      if record.addresses.isEmpty {
        try attachments.remove(attachment.fileName)
      } else {
        try write(record)
      }
    }
    try settle()
    return lease.holder
  }

  // MARK: The last address given

  private borrowing func setLastGiven(
    _ address: IPAddress, from set: Int
  ) throws(StoreError) {
    try attachments.write(LeaseStore.newFile, Array(address.description.utf8))
    try attachments.rename(LeaseStore.newFile, to: lastGivenFile(set), in: leases)
  }

  // MARK: Attachment files

  borrowing func write(_ record: AttachmentRecord) throws(StoreError) {
    try attachments.write(LeaseStore.newFile, record.text)
    try attachments.rename(
      LeaseStore.newFile, to: record.attachment.fileName, in: attachments)
    try attachments.sync()
  }

  // MARK: The pools

  /// What the leases were last given from; nil where only host-local has given any.
  borrowing func pools() throws(StoreError) -> Pools? {
    guard let file = try attachments.read(LeaseStore.poolsFile),
      let object = (try? JSON(parsing: file.bytes))?.object
    else { return nil }
    return try? Pools(Keys(object))
  }

  /// Keeps the pools for the commands of a person, who has no configuration on stdin.
  borrowing func note(_ pools: Pools) throws(StoreError) {
    let text = pools.json.text
    guard try attachments.read(LeaseStore.poolsFile)?.bytes != text else { return }
    try attachments.write(LeaseStore.newFile, text)
    try attachments.rename(LeaseStore.newFile, to: LeaseStore.poolsFile, in: attachments)
  }

  private static let poolsFile = ".pools"

  /// What every file is written as before it gets its name. The lock keeps it to one process; one that
  /// was killed may leave it, and the next one replaces it.
  static let newFile = ".new"

  /// Ends a change: marks the store as ours, and has it on the disk.
  borrowing func settle() throws(StoreError) {
    if isIndexed { try leases.mark() }
    try leases.sync()
  }
}

extension Directory {
  /// The attachments that have a file in this directory.
  borrowing func attachments() throws(StoreError) -> [Attachment] {
    try names().compactMap { Attachment(fileName: $0) }
  }

  /// What an attachment's file says; nil where there is none, or it says nothing.
  borrowing func record(of attachment: Attachment) throws(StoreError) -> AttachmentRecord? {
    guard let file = try read(attachment.fileName) else { return nil }
    return AttachmentRecord(attachment, parsing: file.bytes)
  }

  /// The last address given from a range set; nil where none was.
  borrowing func lastGiven(from set: Int) throws(StoreError) -> IPAddress? {
    guard let file = try read(lastGivenFile(set)) else { return nil }
    return IPAddress(String(decoding: file.bytes.filter { $0 > 0x20 }, as: UTF8.self))
  }
}

/// As host-local names it.
private func lastGivenFile(_ set: Int) -> String { "last_reserved_ip.\(set)" }
