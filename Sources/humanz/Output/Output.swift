// SPDX-License-Identifier: Apache-2.0
import CNI
import Embedded
import System

/// Everything that the tool prints goes through here: what comes from elsewhere (names in the kernel,
/// lease files, node objects) never reaches a terminal as anything but text.
enum Output {
  /// Prints lines for a person on stdout.
  static func print(_ lines: [String]) throws(CNIError) {
    try write(Array(lines.map { printable($0, isLine: false) }.joined(separator: "\n").utf8))
  }

  /// Prints a line for a person on stdout.
  static func print(_ line: String) throws(CNIError) { try print([line]) }

  /// Prints JSON on stdout, as one line.
  static func print(_ json: JSON) throws(CNIError) { try write(printableJSON(json.text)) }

  /// Prints a sentence on stderr, after the program's name.
  static func complain(_ sentence: String) {
    StandardStream.printDiagnostic("humanz: \(printable(sentence))")
  }

  /// Prints an error on stderr: the message, and the details in the next line.
  static func complain(_ error: CNIError) {
    complain(error.message)
    if !error.details.isEmpty { StandardStream.printDiagnostic(printable(error.details)) }
  }

  private static func write(_ bytes: [UInt8]) throws(CNIError) {
    do { try StandardStream.print(bytes) } catch { throw CNIError(error) }
  }
}
