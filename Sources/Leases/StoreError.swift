// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded
import Node
import System

/// Why the lease store could not do what was asked.
public indirect enum StoreError: Error, Equatable {
  /// A call of the system failed.
  case system(SystemError)
  /// The attachment holds addresses already.
  case holds(Attachment, [IPAddress])
  /// No address of a range set is free.
  case exhausted(RangeSet, used: Int)
  /// A requested address is leased to another holder.
  case taken(IPAddress, by: Holder)
  /// A requested address cannot be leased; the text says why.
  case unavailable(IPAddress, String)
}

extension CNIError.Code {
  /// Every address of a range set is leased.
  public static let exhausted = CNIError.Code(rawValue: 120)
  /// A requested address is leased to another attachment, or cannot be leased.
  public static let unavailable = CNIError.Code(rawValue: 121)
}

extension CNIError {
  /// The one place where an error of the store becomes one that a plugin prints.
  public init(_ error: StoreError, network: NetworkName) {
    switch error {
    case .system(let error):
      self.init(
        error.errno == .wouldBlock ? .tryAgainLater : .io, error.description,
        details: error.isWrongFileType
          ? "the path is not a plain file or folder, or is a link that another user can make: move it away"
          : "")
    case .holds(let attachment, let addresses):
      let words = addresses.map { $0.description }.joined(separator: ", ")
      self.init(
        .held, "\(attachment.title) holds \(words) already",
        details: "a DEL of the attachment frees what it holds")
    case .exhausted(let set, let used):
      self.init(
        .exhausted, "no address is free in \(set)",
        details:
          "\(used) of \(set.total) are used; `humanz leases \(network)` shows by which containers")
    case .taken(let address, let holder):
      self.init(
        .unavailable, "the requested address \(address) is held by \(holder)",
        details: "a DEL of its holder frees it, or `humanz release \(network) \(address)`")
    case .unavailable(let address, let reason):
      self.init(
        .unavailable, "the requested address \(address) \(reason)",
        details: "ask for another address, or for none")
    }
  }
}

extension SystemError {
  /// Whether the call failed because the name leads to a file of another type.
  fileprivate var isWrongFileType: Bool {
    [
      .isDirectory, .notDirectory, .directoryNotEmpty, .tooManySymbolicLinkLevels,
      .noSuchAddressOrDevice, .fileTooLarge,
    ].contains(errno)
  }
}
