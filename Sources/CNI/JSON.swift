// SPDX-License-Identifier: Apache-2.0
import Embedded

/// A JSON value that is written as it was read: members keep their order, numbers their spelling.
///
/// Source: RFC 8259. See `JSON.init(parsing:)` for what is accepted.
public enum JSON: Equatable {
  case null
  case bool(Bool)
  /// A number as it was written: `1`, `1.0` and `1e0` are different values.
  case number(String)
  case string(String)
  case array([JSON])
  case object(JSONObject)

  /// A whole number, written in decimal digits.
  @inline(never)
  public static func number(_ value: Int) -> JSON { .number("\(value)") }

  /// The text, if the value is a string; otherwise nil.
  public var string: String? {
    if case .string(let value) = self { value } else { nil }
  }

  /// The value of `true` or `false`; nil for anything else.
  public var bool: Bool? {
    if case .bool(let value) = self { value } else { nil }
  }

  /// The number, if it is written without fraction and exponent and fits `Int`; otherwise nil.
  public var int: Int? {
    if case .number(let spelling) = self { Int(spelling) } else { nil }
  }

  /// The elements, if the value is an array; otherwise nil.
  public var array: [JSON]? {
    if case .array(let elements) = self { elements } else { nil }
  }

  /// The object, if the value is one; otherwise nil.
  public var object: JSONObject? {
    if case .object(let object) = self { object } else { nil }
  }

  /// The type of the value, for messages: "a string", "an object".
  public var kind: String {
    switch self {
    case .null: "null"
    case .bool: "a boolean"
    case .number: "a number"
    case .string: "a string"
    case .array: "an array"
    case .object: "an object"
    }
  }
}

/// The members of a JSON object in the order they were written; no name occurs twice.
///
/// A lookup goes through the members: objects in CNI have few.
public struct JSONObject: Equatable {
  /// One name of an object with its value.
  public struct Member: Equatable {
    /// Without quotes and escapes.
    public let name: String
    /// A value of any type.
    public var value: JSON

    public init(_ name: String, _ value: JSON) {
      self.name = name
      self.value = value
    }
  }

  /// In the order in which they were written.
  public private(set) var members: [Member]

  /// An object without members: `{}`.
  public init() { members = [] }

  /// An object of the members whose value is not nil.
  /// - Precondition: no name occurs twice.
  public init(_ members: (String, JSON?)...) {
    self.members = members.compactMap { name, value in value.map { Member(name, $0) } }
  }

  /// - Precondition: no name occurs twice.
  init(members: [Member]) { self.members = members }

  /// Whether the object has no members.
  public var isEmpty: Bool { members.isEmpty }

  /// The value of a member. Setting a value keeps the place of an existing member and appends a new
  /// one; setting nil removes the member. Names are compared by code points (RFC 8259 section 8.3).
  public subscript(name: String) -> JSON? {
    get { index(of: name).map { members[$0].value } }
    set {
      switch (index(of: name), newValue) {
      case (let index?, let value?): members[index].value = value
      case (let index?, nil): members.remove(at: index)
      case (nil, let value?): members.append(Member(name, value))
      case (nil, nil): break
      }
    }
  }

  /// The object with one member renamed in its place. Another member with the new name is dropped.
  func renaming(_ name: String, to newName: String) -> JSONObject {
    JSONObject(
      members: members.compactMap { member in
        if member.name == newName { return nil }
        return member.name == name ? Member(newName, member.value) : member
      })
  }

  @inline(never)
  private func index(of name: String) -> Int? {
    members.firstIndex { $0.name.isSame(as: name) }
  }
}
