// SPDX-License-Identifier: Apache-2.0
import Addresses
import Embedded
import System

/// What the runtime asks for: CNI_COMMAND (specification section 2).
public enum Verb: String, CaseIterable, Sendable {
  case add = "ADD"
  case del = "DEL"
  case check = "CHECK"
  case gc = "GC"
  case status = "STATUS"
  case version = "VERSION"

  /// The first protocol version that has the verb.
  var since: ProtocolVersion {
    switch self {
    case .add, .del, .version: .v010
    case .check: .v040
    case .gc, .status: .v110
    }
  }

  /// The environment variables that the verb requires, in the specification's order.
  var requiredVariables: [String] {
    switch self {
    case .add, .check: ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"]
    case .del: ["CNI_CONTAINERID", "CNI_IFNAME"]
    case .gc, .status, .version: []
    }
  }
}

/// One call of a plugin: environment and stdin, parsed once.
public struct Invocation {
  /// CNI_COMMAND.
  public let verb: Verb
  /// The configuration on stdin, with the keys that every plugin needs read.
  public let configuration: NetworkConfiguration
  /// The configuration as it was on stdin. A delegate gets it unchanged.
  public let input: [UInt8]
  private var argumentsText: String
  /// The attachment; nil if CNI_CONTAINERID or CNI_IFNAME is unset, as in GC and STATUS.
  public let attachment: Attachment?
  /// CNI_NETNS; nil if it is unset or empty, which DEL allows.
  public let namespace: String?

  /// Reads what a runtime gives to a plugin.
  /// - Parameters:
  ///   - input: what is on stdin.
  ///   - environment: returns a variable's value; nil if it is unset.
  /// - Throws: error 4 for the environment, 1 for a verb newer than the configuration's version, and what
  ///   `NetworkConfiguration` throws.
  public init(
    _ verb: Verb, input: [UInt8], environment: (String) -> String? = environmentVariable
  ) throws(CNIError) {
    func nonempty(_ variable: String) -> String? {
      environment(variable).flatMap { $0.isEmpty ? nil : $0 }
    }
    let variables = ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"].map { nonempty($0) }
    let missing = verb.requiredVariables.filter { nonempty($0) == nil }
    guard missing.isEmpty else {
      throw CNIError(
        .invalidEnvironment,
        "\(verb.rawValue) needs \(missing.joined(separator: ", ")) in the environment")
    }
    let containerID = try variables[0].map { (text) throws(CNIError) in
      try parse(
        "CNI_CONTAINERID", text, ContainerID(text), ContainerID.expected)
    }
    let interface = try variables[2].map { (text) throws(CNIError) in
      try parse(
        "CNI_IFNAME", text,
        // Invalid UTF-8 has become U+FFFD: the interface would get another name than the runtime asked for.
        text.unicodeScalars.contains("\u{FFFD}") ? nil : InterfaceName(text),
        "1 to 15 bytes of UTF-8 without '/', ':', '%', white space or controls, and not '.' or '..'"
      )
    }
    if let containerID, let interface {
      attachment = Attachment(containerID: containerID, interface: interface)
    } else {
      attachment = nil
    }
    namespace = variables[1]
    self.verb = verb
    self.input = input
    configuration = try NetworkConfiguration(parsing: input)
    guard configuration.version >= verb.since else {
      throw CNIError(
        .incompatibleVersion,
        "\(verb.rawValue) needs cniVersion \(verb.since) or newer",
        details: "the configuration says \(configuration.version)")
    }
    argumentsText = nonempty("CNI_ARGS") ?? ""
    do throws(CNIError) { _ = try arguments() } catch {
      // DEL, GC and STATUS do not fail for a malformed CNI_ARGS.
      if verb == .add || verb == .check { throw error }
      argumentsText = ""
    }
    if verb != .del && verb != .gc { _ = try configuration.keys.string("logFile") }
  }

  /// CNI_ARGS, by key.
  /// - Throws: error 4 for what is not a list of `KEY=VALUE` pairs.
  public func arguments() throws(CNIError) -> CNIArguments { try CNIArguments(argumentsText) }

  /// The pod that the attachment is for, which runtimes of Kubernetes name in CNI_ARGS; nil if there is none,
  /// or if CNI_ARGS or the names are malformed.
  public var pod: PodName? {
    guard let arguments = try? arguments(), let namespace = arguments["K8S_POD_NAMESPACE"],
      let name = arguments["K8S_POD_NAME"]
    else { return nil }
    return PodName(namespace: namespace, name: name)
  }

  /// A value that the runtime or a user asks for: `runtimeConfig` if its capability is declared, or else
  /// `args.cni`, or else CNI_ARGS; nil if none of them asks for it. Source: specification section 3.
  /// - Parameters:
  ///   - key: of the capability, and of `args.cni`.
  ///   - argument: of CNI_ARGS.
  ///   - fromKeys: reads the value from `runtimeConfig` or `args.cni`; nil if the key is absent or asks for
  ///     nothing.
  ///   - fromText: reads the value of the argument.
  /// - Throws: error 7 for a key, 4 for CNI_ARGS, and what the functions throw.
  public func requested<Value>(
    _ key: String, argument: String, fromKeys: (Keys) throws(CNIError) -> Value?,
    fromText: (String) throws(CNIError) -> Value?
  ) throws(CNIError) -> Value? {
    if let keys = try configuration.runtimeConfig(key), let value = try fromKeys(keys) {
      return value
    }
    if let keys = try configuration.cniArguments, let value = try fromKeys(keys) { return value }
    guard let text = try arguments()[argument], !text.isEmpty else { return nil }
    return try fromText(text)
  }
}

private func parse<Value>(
  _ variable: String, _ text: String, _ value: Value?, _ expected: String
) throws(CNIError) -> Value {
  guard let value else {
    throw CNIError(.invalidEnvironment, "\(variable) is \"\(text)\", expected \(expected)")
  }
  return value
}

/// CNI_ARGS: `KEY=VALUE` pairs with `;` between (specification section 2).
///
/// Unknown keys are ignored, with or without `IgnoreUnknown`.
public struct CNIArguments {
  private let pairs: [(key: String, value: String)]

  init(_ text: String) throws(CNIError) {
    var pairs: [(key: String, value: String)] = []
    for pair in text.fields(separatedBy: ";") {
      let bytes = Array(pair.utf8)
      guard let equals = bytes.firstIndex(of: UInt8(ascii: "=")) else {
        throw CNIError(
          .invalidEnvironment, "CNI_ARGS has \"\(pair)\", expected KEY=VALUE pairs with ';' between"
        )
      }
      pairs.append(
        (
          String(decoding: bytes[..<equals]),
          String(decoding: bytes[(equals + 1)...])
        ))
    }
    self.pairs = pairs
  }

  /// The value of a key, which may be empty; nil if the key is absent. Of several the last one counts.
  public subscript(key: String) -> String? { pairs.last { $0.key == key }?.value }
}
