// SPDX-License-Identifier: Apache-2.0
import CNI
import Embedded

/// An option of a command.
struct Option {
  /// Such as `--data-dir`.
  let name: String
  /// The name of the value in the help; nil for an option without a value.
  let value: String?
  let help: String

  init(_ name: String, _ value: String? = nil, _ help: String) {
    self.name = name
    self.value = value
    self.help = help
  }

  /// Such as `--data-dir DIR`.
  var spelling: String { value.map { "\(name) \($0)" } ?? name }
}

/// The words after a command's name, sorted into operands and options.
struct Arguments {
  private(set) var operands: [String] = []
  private var values: [(name: String, value: String)] = []

  /// Options and operands may be mixed; `--` ends the options; `--name=value` means `--name value`.
  /// - Parameters:
  ///   - count: the number of operands that the command takes.
  /// - Throws: wrong usage.
  init(_ words: [String], options: [Option], count: ClosedRange<Int>) throws(CNIError) {
    var rest = words[...]
    while let word = rest.popFirst() {
      if word == "--" {
        operands += rest
        break
      }
      guard word.utf8.first == UInt8(ascii: "-"), word.utf8.count > 1 else {
        operands.append(word)
        continue
      }
      try take(word, &rest, options)
    }
    if operands.count < count.lowerBound { throw .wrongUsage("an operand is missing") }
    if operands.count > count.upperBound {
      throw .wrongUsage("\"\(operands[count.upperBound])\" is one operand too many")
    }
  }

  /// Whether `-h` or `--help` is among the words, and is neither an option's value nor after `--`.
  static func askForHelp(_ words: [String], options: [Option]) -> Bool {
    var rest = words[...]
    while let word = rest.popFirst(), word != "--" {
      if word == "-h" || word == "--help" { return true }
      if options.contains(where: { $0.name == word && $0.value != nil }) { _ = rest.popFirst() }
    }
    return false
  }

  private mutating func take(
    _ word: String, _ rest: inout ArraySlice<String>, _ options: [Option]
  ) throws(CNIError) {
    let bytes = Array(word.utf8)
    let equals = bytes.firstIndex(of: UInt8(ascii: "="))
    let name = String(decoding: bytes[..<(equals ?? bytes.endIndex)])
    guard let option = options.first(where: { $0.name == name }) else {
      throw .wrongUsage(
        "there is no option \(name)\(suggestion(for: name, among: options.map { $0.name }))")
    }
    var value = ""
    if option.value == nil {
      guard equals == nil else { throw .wrongUsage("\(name) takes no value") }
    } else if let equals {
      value = String(decoding: bytes[(equals + 1)...])
    } else if let next = rest.popFirst() {
      value = next
    }
    if option.value != nil, value.isEmpty {
      throw .wrongUsage("\(option.spelling): the value is missing")
    }
    values.append((name, value))
  }

  /// Whether an option was given.
  func has(_ name: String) -> Bool { values.contains { $0.name == name } }

  /// The value of an option, the last one if it was given more than once; nil if it was not given.
  subscript(name: String) -> String? { values.last { $0.name == name }?.value }

  /// Every value of an option that may be given more than once.
  func all(_ name: String) -> [String] { values.filter { $0.name == name }.map { $0.value } }

  /// The value of an option, parsed.
  /// - Throws: wrong usage if the value is invalid.
  func parsed<Value>(
    _ name: String, as expected: String, _ parse: (String) -> Value?
  ) throws(CNIError) -> Value? {
    guard let text = self[name] else { return nil }
    guard let value = parse(text) else {
      throw .wrongUsage("\(name) is \"\(text)\", expected \(expected)")
    }
    return value
  }

  /// The absolute path that an option names.
  func path(_ name: String) throws(CNIError) -> String? {
    let path = self[name]
    try checkPath(name, path)
    return path
  }
}

extension CNIError {
  /// Marks errors of the command line: no plugin's error has this code.
  private static var usageCode: Code { Code(rawValue: .max) }

  /// Wrong usage: the program ends with status 2.
  static func wrongUsage(_ message: String) -> CNIError { CNIError(usageCode, message) }

  var isWrongUsage: Bool { code == CNIError.usageCode }
}
