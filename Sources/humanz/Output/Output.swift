// SPDX-License-Identifier: Apache-2.0
import CNI
import Embedded
import System

/// Prints text with its terminal controls replaced: names in the kernel, in lease files or in node objects
/// cannot send control sequences to a terminal. Usage lines and metrics do not go through here.
enum Output {
  /// Prints lines for a person on stdout.
  static func print(_ lines: [String]) throws(CNIError) {
    let lines = lines.map { printable($0, replacingLineFeeds: false) }
    try write(Array(lines.joined(separator: "\n").utf8))
  }

  /// Prints a line for a person on stdout.
  static func print(_ line: String) throws(CNIError) { try print([line]) }

  /// Prints JSON on stdout, as one line.
  static func print(_ json: JSON) throws(CNIError) { try write(printableJSON(json.text)) }

  /// Prints a sentence on stderr, with the program's name before it.
  static func complain(_ sentence: String) {
    StandardStream.printDiagnostic("humanz: \(printable(sentence))")
  }

  /// Prints an error on stderr: the message, and the details on the next line.
  static func complain(_ error: CNIError) {
    complain(error.message)
    if !error.details.isEmpty { StandardStream.printDiagnostic(printable(error.details)) }
  }

  private static func write(_ bytes: [UInt8]) throws(CNIError) {
    do { try StandardStream.print(bytes) } catch { throw CNIError(error) }
  }
}
