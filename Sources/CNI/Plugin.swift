// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNetlink
import Embedded
import System

/// A plugin: a name and a function for each verb. `run` is the whole process.
///
/// Each verb reads only what it needs of the configuration and of prevResult. DEL and GC need
/// little, and work with a configuration that ADD and CHECK refuse.
public protocol Plugin {
  /// The executable's name, which is `type` in a configuration.
  static var name: String { get }

  /// What the plugin does, in one line for `--help`.
  static var summary: String { get }

  /// The plugin for one call. Each verb reads what it needs of the configuration: so this cannot fail.
  init(_ invocation: Invocation)

  /// Makes the attachment in the namespace. If it throws, it has undone what serves only this attachment.
  /// - Parameter print: prints the result. It is the last step, and `add` undoes the attachment if it
  ///   throws: a runtime without a result does not know of the attachment.
  func add(
    _ attachment: Attachment, namespace: String, print: (CNIResult) throws(CNIError) -> Void
  ) throws(CNIError)

  /// Removes what ADD made. Missing things are not an error, nor is a missing namespace.
  func del(_ attachment: Attachment, namespace: String?) throws(CNIError)

  /// Compares the node and the namespace with what ADD made.
  /// - Throws: error 102 naming what is missing or changed.
  func check(_ attachment: Attachment, namespace: String) throws(CNIError)

  /// Removes what belongs to attachments of the network that are not among the valid ones.
  func gc(keeping valid: [Attachment]) throws(CNIError)

  /// Whether the next ADD can be served. It changes nothing.
  /// - Throws: error 50 or 51.
  func status() throws(CNIError)

  /// Refuses keys that are most likely mistyped, before ADD and STATUS.
  /// - Returns: the other unknown keys, which ADD logs.
  /// - Throws: error 7 naming a key.
  func unknownKeys() throws(CNIError) -> [UnknownKey]
}

extension Plugin {
  /// A plugin that does not say which keys it knows accepts any.
  public func unknownKeys() throws(CNIError) -> [UnknownKey] { [] }
}

extension Plugin {
  /// The whole process: reads environment and stdin, does what CNI_COMMAND says, prints the result or one
  /// error, writes one line of log (of STATUS and VERSION only an error). Without CNI_COMMAND it tells a user
  /// what it is.
  /// - Returns: the exit status: 0, 1 after an error, 2 for wrong arguments.
  public static func run() -> Int32 {
    guard let text = environmentVariable("CNI_COMMAND"), !text.isEmpty else {
      return runWithoutRuntime()
    }
    StandardStream.prepare()
    // The first `clock_gettime` of a process costs more than the rest of VERSION's answer.
    let start = text == "VERSION" ? nil : Clock.microseconds()
    var input: [UInt8] = []
    var call = LogEntry(plugin: name, verb: text)
    let fallback: StaticString =
      #"{"cniVersion":"1.1.0","code":105,"msg":"internal errors ended the plugin; please report them"}"#
    Trap.handle(fallback: fallback) { signal in
      call.error = internalError(signal, verb: text)
      report(call.error!, version: errorVersion(input))
      call.write(since: start)
    }
    do throws(CNIError) {
      guard let verb = Verb(text) else {
        throw CNIError(
          .invalidEnvironment, "CNI_COMMAND is \"\(text)\", expected one of \(Verb.list)")
      }
      input = try readInput()
      if verb == .version {
        try print(versions(echoing: input))
        return 0
      }
      let invocation = try Invocation(verb, input: input)
      call.describe(invocation)
      call.addresses = try perform(invocation).ips.map { "\($0.address)" }
      Trap.answered(status: 0)
    } catch {
      Trap.forgetSteps()
      call.error = error
      report(error, version: errorVersion(input))
      Trap.answered(status: 1)
    }
    // Runtimes call STATUS every few seconds: a success is not logged.
    if text != "STATUS" || call.error != nil {
      call.write(since: start)
    }
    return call.error == nil ? 0 : 1
  }

  /// Does one verb.
  /// - Returns: ADD's result, which has been printed; an empty one of the others.
  private static func perform(_ invocation: Invocation) throws(CNIError) -> CNIResult {
    // Never deinitialized: the process ends right after it.
    let memory = UnsafeMutablePointer<Self>.allocate(capacity: 1)
    memory.initialize(to: Self(invocation))
    let plugin = memory.pointee
    switch (invocation.verb, invocation.attachment, invocation.namespace) {
    case (.add, let attachment?, let namespace?):
      for key in try plugin.unknownKeys() {
        invocation.configuration.log.write("\(name) ignores the unknown key \"\(key.path)\"")
      }
      var made = CNIResult()
      try plugin.add(attachment, namespace: namespace) { (result) throws(CNIError) in
        try print(result.json(version: invocation.configuration.version))
        Trap.answered(status: 0)
        made = result
      }
      return made
    case (.check, let attachment?, let namespace?):
      try plugin.check(attachment, namespace: namespace)
    case (.del, let attachment?, let namespace):
      try plugin.del(attachment, namespace: namespace)
    case (.gc, _, _):
      guard let valid = try invocation.configuration.validAttachments() else {
        throw invocation.configuration.keys.invalid(
          "cni.dev/valid-attachments",
          "is required: without it GC would free every attachment (\"cnitool gc\" does not send it)"
        )
      }
      try plugin.gc(keeping: valid)
    case (.status, _, _):
      do throws(CNIError) { _ = try plugin.unknownKeys() } catch {
        throw CNIError(.notAvailable, error.message, details: error.details)
      }
      try plugin.status()
    case (.add, _, _), (.check, _, _), (.del, _, _), (.version, _, _):
      // VERSION needs no configuration, and an invocation has what its verb requires.
      preconditionFailure("an invocation is complete")
    }
    return CNIResult()
  }

  private static func readInput() throws(CNIError) -> [UInt8] {
    do { return try StandardStream.readInput() } catch { throw CNIError(error) }
  }

  private static func print(_ json: JSON) throws(CNIError) {
    do { try StandardStream.print(json.text) } catch { throw CNIError(error) }
  }

  /// Prints the error for the runtime; if that fails, on stderr.
  private static func report(_ error: CNIError, version: String) {
    do throws(CNIError) { try print(error.json(version: version)) } catch {
      StandardStream.printDiagnostic("\(name): \(error.message)")
    }
  }

  @inline(never)
  private static func internalError(_ signal: Int32, verb: String) -> CNIError {
    CNIError(
      .internalError,
      "an internal error ended \(verb) of \(name) \(suiteVersion): \(String(cString: strsignal(signal)))",
      details: "what this call made is undone; please report it with the configuration")
  }

  /// The answer to VERSION; it accepts an empty stdin (section 5, "Version").
  private static func versions(echoing input: [UInt8]) throws(CNIError) -> JSON {
    var version = ProtocolVersion.newest.description
    if input.contains(where: { $0 > 0x20 }) {
      let object = try NetworkConfiguration.object(parsing: input)
      version = try Keys(object).string("cniVersion") ?? version
    }
    return .object(
      JSONObject(
        ("cniVersion", .string(version)),
        (
          "supportedVersions",
          .array(ProtocolVersion.allCases.map { .string($0.description) })
        )))
  }

  /// Tells a user, who calls the plugin without CNI_COMMAND, what it is.
  /// - Returns: 0, or 2 for arguments other than `--version` and `--help`.
  private static func runWithoutRuntime() -> Int32 {
    let arguments = (try? commandLineArguments()) ?? []
    let version = "\(name) \(suiteVersion)"
    switch arguments.first {
    case "--version" where arguments.count == 1:
      try? StandardStream.print(Array(version.utf8))
      return 0
    case nil, "--help", "-h":
      let text = """
        \(version), a CNI plugin: \(summary)
        Protocol versions: \(ProtocolVersion.list)
        A container runtime calls it with CNI_COMMAND and a configuration on stdin. The tool for people
        is `humanz`.
        """
      try? StandardStream.print(Array(text.utf8))
      return 0
    default:
      StandardStream.printDiagnostic(
        "\(name): takes no arguments but --version and --help; the tool for people is `humanz`"
      )
      return 2
    }
  }

  /// The version an error is printed in: the input's own if it can be read.
  private static func errorVersion(_ input: [UInt8]) -> String {
    guard let json = try? JSON(parsing: input), let version = json.object?["cniVersion"]?.string,
      ProtocolVersion(version) != nil
    else { return ProtocolVersion.newest.description }
    return version
  }
}

/// The suite's own version.
public let suiteVersion = "0.2.0"

extension Verb {
  init?(_ text: String) {
    guard let verb = Verb.allCases.first(where: { $0.rawValue == text }) else { return nil }
    self = verb
  }

  static var list: String { allCases.map { $0.rawValue }.joined(separator: ", ") }
}
