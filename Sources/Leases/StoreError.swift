import Addresses
import CNI
import Embedded
import Node
import System

/// What the lease store could not do.
public enum StoreError: Error, Equatable {
  /// A call of the system failed.
  case system(SystemError)
  /// The attachment was given addresses before and has not been deleted.
  case holds(Attachment, [IPAddress])
  /// No address of a range set is free.
  case exhausted(RangeSet, used: Int)
  /// An address that was asked for is another's.
  case taken(IPAddress, by: Holder)
  /// An address that was asked for cannot be given.
  case unavailable(IPAddress, String)
}

extension CNIError.Code {
  /// Every address of a range set is leased.
  public static let exhausted = CNIError.Code(rawValue: 120)
  /// A requested address is leased to another attachment, or none that is given.
  public static let unavailable = CNIError.Code(rawValue: 121)
  /// The attachment holds addresses already.
  public static let held = CNIError.Code(rawValue: 122)
}

extension CNIError {
  /// The one place where what the store could not do becomes what a plugin prints.
  public init(_ error: StoreError) {
    switch error {
    case .system(let error):
      self.init(error.errno == .wouldBlock ? .tryAgainLater : .io, error.description)
    case .holds(let attachment, let addresses):
      self.init(
        .held, "\(attachment.title) holds \(list(addresses)) already",
        details: "a DEL of the attachment frees the address")
    case .exhausted(let set, let used):
      self.init(
        .exhausted, "no address is free in \(set)", details: "\(used) of \(set.total) are used")
    case .taken(let address, let holder):
      self.init(.unavailable, "the requested address \(address) is held by \(holder)")
    case .unavailable(let address, let reason):
      self.init(.unavailable, "the requested address \(address) \(reason)")
    }
  }
}

private func list(_ addresses: [IPAddress]) -> String {
  addresses.map { $0.description }.joined(separator: ", ")
}
