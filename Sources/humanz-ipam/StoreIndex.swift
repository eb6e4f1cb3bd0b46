import CNI
import CNetlink

// The attachment files are an index of the leases, and whether it is complete is to be known without
// reading it. So each change of ours ends by giving the store's directory a time of modification whose
// nanoseconds are a mark. Whoever else makes or removes a file in it (host-local, a person, or a process
// of ours that was then killed) leaves another time. The mark is different in every boot: a store on
// a disk is looked through once after each, whatever a loss of power kept of it.

extension Directory {
  /// The nanoseconds of this boot's mark. Another writer's are the same once in a thousand million times.
  private static let mark: Int = {
    let hash = (Boot.id ?? "").utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) {
      ($0 ^ UInt64($1)) &* 0x100_0000_01b3
    }
    return Int(hash % 999_999_999) + 1
  }()

  var isMarked: Bool {
    var status = stat()
    return fstat(rawValue, &status) == 0 && status.st_mtim.tv_nsec == Directory.mark
  }

  borrowing func mark() throws(StoreError) {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    now.tv_nsec = Directory.mark
    guard futimens(rawValue, [now, now]) == 0 else { throw .last("mark", path) }
  }
}

extension LeaseStore {
  /// Sees to it that every lease is in its attachment's file, frees the empty lease files that a killed
  /// host-local left, and removes the files of attachments without a lease. Where the store is marked
  /// nothing is to be done; else it costs a look at every lease, once.
  mutating func index() throws(StoreError) {
    guard !isIndexed else { return }
    for address in try leases.leased() {
      guard let lease = try lease(of: address) else {
        try leases.remove(address.description)
        continue
      }
      if let attachment = lease.holder.attachment { try complete(attachment, with: lease) }
    }
    isIndexed = true
    for attachment in try attachments.attachments() where try addresses(of: attachment).isEmpty {
      try attachments.remove(attachment.fileName)
    }
    try settle()
  }

  /// Writes an attachment's file where it does not name a lease. What it says is worth nothing where the
  /// lease is newer than the file: somebody else has made it.
  private borrowing func complete(
    _ attachment: Attachment, with lease: Lease
  ) throws(StoreError) {
    var record = AttachmentRecord(
      attachment, addresses: [], time: Clock.timestamp(lease.written.time))
    if let file = try attachments.read(attachment.fileName),
      let known = AttachmentRecord(attachment, parsing: file.bytes),
      lease.written <= Instant(file.written)
    {
      guard !known.addresses.contains(lease.address) else { return }
      record = known
    }
    record.addresses.append(lease.address)
    try write(record)
  }
}
