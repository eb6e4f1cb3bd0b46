import Addresses
import CNI
import CNetlink
import Node
import System

// The attachment files are an index of the leases, and whether it is complete is to be known without
// reading it. So each change of ours ends by marking the store's directory. Whoever else makes or
// removes a file in it (host-local, a person, or a process of ours that was then killed) leaves another
// time. The mark is different in every boot: a store on a disk is looked through once after each,
// whatever a loss of power kept of it.

extension Directory {
  /// This boot's mark.
  private static let mark = TimeMark((Boot.id ?? "").utf8)

  var isMarked: Bool {
    get throws(SystemError) { Directory.mark.isOn(try status(of: ".")) }
  }

  borrowing func mark() throws(SystemError) { try set(Directory.mark, on: ".") }
}

extension LeaseStore {
  /// Sees to it that every lease is in its attachment's file, frees the empty lease files that a killed
  /// host-local left, and removes the files of attachments without a lease. Where the store is marked
  /// nothing is to be done; else it costs a look at every lease, once.
  public mutating func index() throws(SystemError) {
    guard !isIndexed, !cannotIndex else { return }
    cannotIndex = true
    for address in try leases.leased() {
      guard let lease = try leases.lease(of: address) else {
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
  ///
  /// What a loss of power takes of such a file, the next boot completes again.
  private borrowing func complete(
    _ attachment: Attachment, with lease: Lease
  ) throws(SystemError) {
    guard let written = try leases.status(of: lease.address.description)?.st_mtim else { return }
    var record = AttachmentRecord(attachment, addresses: [], time: Clock.timestamp(written))
    if let known = try attachments.record(of: attachment),
      let noted = try attachments.status(of: attachment.fileName)?.st_mtim,
      (written.tv_sec, written.tv_nsec) <= (noted.tv_sec, noted.tv_nsec)
    {
      guard !known.addresses.contains(lease.address) else { return }
      record = known
    }
    record.addresses.append(lease.address)
    try write(record, durable: false)
  }
}
