// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import CNetlink
import System

/// The leases of one network, for a reader: nothing is made, changed or locked.
///
/// A lease file appears whole and goes in one step, so a reader needs no lock. It may miss changes that other
/// processes make meanwhile. Its methods throw the error of the file or directory that cannot be read.
public struct LeaseReader: ~Copyable {
  /// The directory of the lease files.
  public let leases: Directory
  /// The directory of attachment files. If there is none yet, the lease directory, which has no such files.
  private let attachments: Directory

  /// Opens the store of a network; nil if there is none.
  public init?(_ network: NetworkName, in dataDirectory: String) throws(SystemError) {
    guard let leases = try Directory(network.description, in: dataDirectory, make: false) else {
      return nil
    }
    if let directory = try leases.directory(LeaseStore.attachmentFolder, make: false) {
      attachments = directory
    } else if let same = try leases.directory(".", make: false) {
      attachments = same
    } else {
      return nil
    }
    self.leases = leases
  }

  /// Whether the directory is a network's store, ours or host-local's: it has a lock or a lease.
  public borrowing func isStore() throws(SystemError) -> Bool {
    if try leases.status(of: StoreLock.fileName) != nil { return true }
    return try !leases.leased().isEmpty
  }

  /// What the attachment's file says of a lease; nil if no readable file does, as for a lease that host-local
  /// made.
  public borrowing func record(of lease: Lease) throws(SystemError) -> AttachmentRecord? {
    guard let attachment = lease.holder.attachment,
      let written = try leases.status(of: lease.address.description)?.st_mtim,
      let record = try attachments.record(of: attachment, since: written),
      record.addresses.contains(lease.address)
    else { return nil }
    return record
  }

  /// What an attachment's file says; nil if it is missing or cannot be read.
  public borrowing func record(of attachment: Attachment) throws(SystemError) -> AttachmentRecord? {
    try attachments.record(of: attachment)
  }

  /// The ranges of the last ADD's configuration; nil if only host-local has leased, or if they cannot be
  /// read.
  public borrowing func pools() throws(SystemError) -> Pools? { try attachments.summary()?.pools }
}
