// SPDX-License-Identifier: Apache-2.0
import Embedded
import System

/// The one error a plugin prints: a code, what went wrong, and the details behind it.
///
/// Source: specification section 5, "Error".
public struct CNIError: Error, Equatable {
  /// The specification's codes, and ours from 100 on.
  public struct Code: RawRepresentable, Equatable, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    private init(_ value: UInt32) { rawValue = value }

    /// The configuration's `cniVersion` is not supported, or is older than the verb.
    public static let incompatibleVersion = Code(1)
    /// A known key asks for something that this node does not have.
    public static let unsupportedField = Code(2)
    /// The container or its namespace does not exist.
    public static let unknownContainer = Code(3)
    /// A CNI_ environment variable is missing or malformed.
    public static let invalidEnvironment = Code(4)
    /// A file could not be read or written.
    public static let io = Code(5)
    /// The input is not JSON, or a plugin's output is not a result.
    public static let undecodable = Code(6)
    /// A key of the configuration has an invalid value.
    public static let invalidConfiguration = Code(7)
    /// Something is busy, or not there yet; the same call may succeed later.
    public static let tryAgainLater = Code(11)
    /// STATUS: the next ADD could not be served.
    public static let notAvailable = Code(50)
    /// STATUS: as 50, and containers that run have limited connectivity.
    public static let limitedConnectivity = Code(51)
    /// The kernel refused a request.
    public static let kernel = Code(100)
    /// What ADD would make already exists.
    public static let exists = Code(101)
    /// CHECK: what ADD made is missing or changed.
    public static let checkFailed = Code(102)
    /// A delegate could not be run, or printed neither a result nor an error.
    public static let delegate = Code(103)
    /// A verb met several errors with different codes: the message has the first, the details the rest.
    public static let several = Code(104)
    /// A trap ended the plugin: a bug in it.
    public static let internalError = Code(105)
  }

  /// The fields, behind one reference: an error crosses many calls, and each of them passes on one word.
  private final class Fields: Sendable {
    let code: Code
    let message: String
    let details: String

    init(code: Code, message: String, details: String) {
      self.code = code
      self.message = message
      self.details = details
    }
  }

  private let fields: Fields

  /// What kind of error it is: `code` in the specification's form.
  public var code: Code { fields.code }
  /// One sentence naming the key, the variable or the kernel object.
  public var message: String { fields.message }
  /// What the message does not say: both sides of a comparison, what to do. May be empty.
  public var details: String { fields.details }

  @inline(never)
  public init(_ code: Code, _ message: String, details: String) {
    fields = Fields(code: code, message: message, details: details)
  }

  @inline(never)
  public init(_ code: Code, _ message: String) { self.init(code, message, details: "") }

  public static func == (a: CNIError, b: CNIError) -> Bool {
    a.code == b.code && a.message == b.message && a.details == b.details
  }

  /// The error in the specification's form.
  /// - Parameter version: its `cniVersion`.
  public func json(version: String) -> JSON {
    .object(
      JSONObject(
        ("cniVersion", .string(version)), ("code", .number(Int(code.rawValue))),
        ("msg", .string(message)), ("details", details.isEmpty ? nil : .string(details))))
  }

  /// Reads an error that a plugin printed; nil for any other value.
  public init?(_ json: JSON) {
    guard let object = json.object, let code = object["code"]?.int,
      let code = UInt32(exactly: code),
      let message = object["msg"]?.string
    else { return nil }
    self.init(Code(rawValue: code), message, details: object["details"]?.string ?? "")
  }

  /// One error for several: a single error as it is, several as one error that lists them. nil for none.
  public static func combined(_ errors: [CNIError]) -> CNIError? {
    guard let first = errors.first, errors.count > 1 else { return errors.first }
    let sameCode = errors.allSatisfy { $0.code == first.code }
    let others = errors.dropFirst().map {
      $0.details.isEmpty ? $0.message : "\($0.message) (\($0.details))"
    }
    let rest = (first.details.isEmpty ? others : [first.details] + others).joined(separator: "; ")
    return CNIError(
      sameCode ? first.code : .several,
      "\(errors.count) errors, the first: \(first.message)", details: rest)
  }
}

extension CNIError {
  /// A failed system call becomes error 5.
  public init(_ error: SystemError) { self.init(.io, error.description) }
}
