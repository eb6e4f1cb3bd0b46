import CNI

/// What the lease store could not do.
enum StoreError: Error, Equatable {
  /// A call of the system failed: what was attempted, on which file, and `errno`.
  case system(attempt: String, path: String, errno: Int32)
  /// Another process has the store locked for too long.
  case busy(path: String, seconds: Int)
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
  static let exhausted = CNIError.Code(rawValue: 120)
  /// A requested address is leased to another attachment, or none that is given.
  static let unavailable = CNIError.Code(rawValue: 121)
  /// The attachment holds addresses already.
  static let held = CNIError.Code(rawValue: 122)
}

extension CNIError {
  /// The one place where what the store could not do becomes what a plugin prints.
  init(_ error: StoreError) {
    switch error {
    case .system(let attempt, let path, let errno):
      self.init(.io, "cannot \(attempt) \(path): \(SystemError(errno))")
    case .busy(let path, let seconds):
      self.init(
        .tryAgainLater, "the lease store is busy",
        details: "\(path) has been locked by another process for \(seconds) seconds")
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
