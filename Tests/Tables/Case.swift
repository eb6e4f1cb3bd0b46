// SPDX-License-Identifier: Apache-2.0
import Embedded

/// A case of a table that runs in both builds: its description, its result as text, and the expected text.
package struct Case: Sendable, CustomStringConvertible {
  package let description: String
  private let expected: String
  private let actual: @Sendable () -> String

  /// - Parameters:
  ///   - description: what the case tries, for a message.
  ///   - expected: compared by its bytes.
  package init(
    _ description: String, is expected: String, _ actual: @escaping @Sendable () -> String
  ) {
    self.description = description
    self.expected = expected
    self.actual = actual
  }

  /// What is wrong; nil where the case passes.
  package var failure: String? {
    let actual = actual()
    return actual.utf8.elementsEqual(expected.utf8)
      ? nil : "\(description): is \(actual), expected \(expected)"
  }
}

/// The cases of one subject.
package struct Table: Sendable {
  package let name: String
  package let cases: [Case]

  package static var all: [Table] {
    [
      Table(name: "strings", cases: StringTable.comparisons),
      Table(name: "addresses", cases: AddressTable.addresses),
      Table(name: "prefixes", cases: AddressTable.prefixes),
      Table(name: "names", cases: AddressTable.names),
      Table(name: "JSON", cases: JSONTable.texts),
      Table(name: "JSON errors", cases: JSONTable.errors),
      Table(name: "results", cases: ResultTable.conversions),
      Table(name: "requests", cases: RequestTable.requests),
      Table(name: "captured requests", cases: RequestTable.captured),
      Table(name: "routes", cases: RouteComparisonTable.comparisons),
      Table(name: "texts of routes", cases: RouteComparisonTable.texts),
      Table(name: "host interfaces", cases: HostInterfaceTable.names),
      Table(name: "times", cases: TimeTable.times),
    ]
  }
}

/// A value's text, or `nil`.
func text(_ value: (some CustomStringConvertible)?) -> String { value?.description ?? "nil" }
