// SPDX-License-Identifier: Apache-2.0

/// What is wrong with what was read: something that must hold for every input does not.
public struct Violation: Error, CustomStringConvertible {
  public let description: String
}

/// A part of the suite that reads what others wrote, and what must hold for any bytes.
public struct FuzzTarget: Sendable {
  /// As `make fuzz` and the folder of the corpus have it.
  public let name: String
  /// Reads an input. It throws where something that must hold does not; a trap ends the process.
  public let run: @Sendable ([UInt8]) throws(Violation) -> Void

  public static let all: [FuzzTarget] = [
    FuzzTarget(name: "json", run: fuzzJSON),
    FuzzTarget(name: "texts", run: fuzzTexts),
    FuzzTarget(name: "invocation", run: fuzzInvocation),
    FuzzTarget(name: "configuration", run: fuzzConfiguration),
    FuzzTarget(name: "result", run: fuzzResult),
    FuzzTarget(name: "conflist", run: fuzzConflist),
    FuzzTarget(name: "store", run: fuzzStore),
    FuzzTarget(name: "cluster", run: fuzzCluster),
    FuzzTarget(name: "nodes", run: fuzzNodes),
    FuzzTarget(name: "rtnetlink", run: fuzzRouteNetlink),
    FuzzTarget(name: "netfilter", run: fuzzNetfilter),
  ]
}

/// Throws where a condition that must hold does not.
func require(
  _ condition: Bool, _ sentence: @autoclosure () -> String
) throws(Violation) {
  if !condition { throw Violation(description: sentence()) }
}

/// Takes a value that nothing else needs. Without it the optimizer may leave out what made the value.
@inline(never) @_optimize(none)
func use<Value>(_ value: Value) {}

/// The lines of an input.
func lines(_ input: [UInt8]) -> [String] {
  input.split(separator: 0x0a, omittingEmptySubsequences: false).map {
    String(decoding: $0, as: UTF8.self)
  }
}
