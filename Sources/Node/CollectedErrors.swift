// SPDX-License-Identifier: Apache-2.0
import CNI

/// The errors of a verb that continues after an error: DEL and GC remove all that they can.
public struct CollectedErrors {
  private var errors: [CNIError] = []

  /// No errors yet.
  public init() {}

  /// Runs a step and keeps its error.
  /// - Returns: what the step returned; nil if it failed.
  @discardableResult
  public mutating func collect<Value>(_ step: () throws(CNIError) -> Value) -> Value? {
    do throws(CNIError) { return try step() } catch {
      errors.append(error)
      return nil
    }
  }

  /// Throws the error that was kept, or one that lists them all; nothing if no step failed.
  /// - Throws: error 104 for several errors with different codes.
  public func throwAny() throws(CNIError) {
    if let error = CNIError.combined(errors) { throw error }
  }
}
