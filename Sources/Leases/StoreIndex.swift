// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import CNetlink
import System

// The attachment files are an index of the leases. Each change of ours ends by setting a time mark on the
// store's directory, which says that the index is complete. Another process that makes or removes a file in
// the directory (host-local, a person, a plugin of ours that is killed before it has finished) leaves another
// time. The mark is different in every boot: a store on a disk is indexed again after each, because a loss of
// power may have taken attachment files.

/// What the attachment files lead to.
enum IndexState {
  /// Unknown: leases may be missing in them.
  case incomplete
  /// Every lease.
  case complete
  /// Every lease but those in host-local's oldest form, which name no interface.
  case completeExceptOldForm
}

extension Directory {
  private static let complete = TimeMark((Boot.id ?? "").utf8)
  private static let completeExceptOldForm = TimeMark(
    "\(Boot.id ?? "") with leases that name no interface".utf8)

  /// The state by the mark on a directory of lease files.
  var indexState: IndexState {
    get throws(SystemError) {
      let status = try status(of: ".")
      if Directory.complete.isOn(status) { return .complete }
      return Directory.completeExceptOldForm.isOn(status) ? .completeExceptOldForm : .incomplete
    }
  }

  /// Marks a directory of lease files.
  borrowing func mark(_ state: IndexState) throws(SystemError) {
    switch state {
    case .incomplete: break
    case .complete: try set(Directory.complete, on: ".")
    case .completeExceptOldForm: try set(Directory.completeExceptOldForm, on: ".")
    }
  }
}

extension LeaseStore {
  /// Completes the index: names every lease in its attachment's file, removes the empty lease files
  /// that a killed host-local left, and the files of attachments without a lease. Costs a look at every
  /// lease; nothing if the index is complete.
  public mutating func index() throws(SystemError) {
    guard state == .incomplete, !cannotIndex else { return }
    cannotIndex = true
    var complete = IndexState.complete
    for address in try leases.leased() {
      guard let lease = try leases.lease(of: address) else {
        try leases.remove(address.description)
        continue
      }
      switch lease.holder {
      case .attachment(let attachment): try index(lease, of: attachment)
      case .container: complete = .completeExceptOldForm
      case .unknown: break
      }
    }
    // To the disk first: a loss of power may bring a removed lease back, and it needs its attachment's file.
    try leases.sync()
    for attachment in try attachments.attachments()
    where try indexed(attachment)?.isEmpty != false {
      try attachments.removeRecord(of: attachment)
    }
    state = complete
    try finishChange()
  }

  /// Adds a lease to its attachment's file, unless the file names it.
  ///
  /// If a loss of power takes such a file, the first call after the next boot writes it again.
  private borrowing func index(
    _ lease: Lease, of attachment: Attachment
  ) throws(SystemError) {
    guard let written = try leases.status(of: lease.address.description)?.st_mtim else { return }
    var record = AttachmentRecord(attachment, addresses: [], time: Clock.timestamp(written))
    if let known = try attachments.record(of: attachment, since: written) {
      guard !known.addresses.contains(lease.address) else { return }
      record = known
    } else if let old = try attachments.record(of: attachment) {
      // A killed DEL may have left a lease that only the old file leads to.
      record.addresses = try leases.held(by: .attachment(attachment), among: old.addresses)
        .filter { $0 != lease.address }
    }
    record.addresses.append(lease.address)
    try write(record, durable: false)
  }
}

extension Directory {
  /// What an attachment's file says of a lease; nil if the lease is newer than the file: then another
  /// program made it.
  /// - Parameter written: when the lease was written.
  borrowing func record(
    of attachment: Attachment, since written: timespec
  ) throws(SystemError) -> AttachmentRecord? {
    guard let record = try record(of: attachment),
      let noted = try status(of: attachment.fileName)?.st_mtim,
      (written.tv_sec, written.tv_nsec) <= (noted.tv_sec, noted.tv_nsec)
    else { return nil }
    return record
  }
}
