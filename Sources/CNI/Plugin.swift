import CNetlink

/// A plugin: a name and a function for each verb. `run` makes a process of it.
public protocol Plugin {
  /// The executable's name, as a configuration's `type` has it.
  static var name: String { get }

  /// Reads the plugin's own keys. It changes nothing.
  /// - Throws: error 7 for a key, or 4 for the environment.
  init(_ invocation: Invocation) throws(CNIError)

  /// Makes the attachment in the namespace; undoes what it made where it throws.
  func add(_ attachment: Attachment, namespace: String) throws(CNIError) -> CNIResult

  /// Removes what ADD made. What is not there any more is no error; nor is a namespace that is gone.
  func del(_ attachment: Attachment, namespace: String?) throws(CNIError)

  /// Compares what is there with what ADD made.
  /// - Throws: error 102 naming what is missing or changed.
  func check(_ attachment: Attachment, namespace: String) throws(CNIError)

  /// Removes what belongs to attachments of the network that are not among these.
  func gc(keeping valid: [Attachment]) throws(CNIError)

  /// Whether the next ADD can be served. It changes nothing.
  /// - Throws: error 50 or 51.
  func status() throws(CNIError)

  /// A command for a person, as in `humanz-ipam leases`: `arguments` are the program's, at least one.
  /// - Returns: the exit status; nil for a command that the plugin does not have.
  static func command(_ arguments: [String]) throws(CNIError) -> Int32?

  /// The commands for a person, a line each.
  static var usage: String { get }
}

extension Plugin {
  public static func command(_ arguments: [String]) throws(CNIError) -> Int32? { nil }

  /// The whole process: reads environment and stdin, does what CNI_COMMAND says, prints the result or
  /// one error, writes one line of log.
  /// - Returns: the exit status.
  public static func run() -> Int32 {
    guard let text = environmentVariable("CNI_COMMAND"), !text.isEmpty else {
      return runForPerson()
    }
    let start = Clock.microseconds()
    StandardStream.prepare()
    var input: [UInt8] = []
    var call = LogEntry(plugin: name, verb: text)
    do throws(CNIError) {
      guard let verb = Verb(text) else {
        throw CNIError(
          .invalidEnvironment, "CNI_COMMAND is \"\(text)\": none of \(Verb.list)")
      }
      input = try StandardStream.readInput()
      if verb == .version {
        try StandardStream.print(versions(echoing: input).text)
        return 0
      }
      let invocation = try Invocation(verb, input: input)
      call.describe(invocation)
      call.addresses = try perform(invocation).ips.map { "\($0.address)" }
    } catch {
      call.error = error
      report(error, version: errorVersion(input))
    }
    call.write(microseconds: Clock.microseconds() - start)
    return call.error == nil ? 0 : 1
  }

  /// Does one verb.
  /// - Returns: ADD's result, which has been printed; an empty one of the others.
  private static func perform(_ invocation: Invocation) throws(CNIError) -> CNIResult {
    // Never taken down: the process ends with it, and taking a thousand peers down takes a tenth of its
    // time.
    let memory = UnsafeMutablePointer<Self>.allocate(capacity: 1)
    memory.initialize(to: try Self(invocation))
    let plugin = memory.pointee
    switch (invocation.verb, invocation.attachment, invocation.namespace) {
    case (.add, let attachment?, let namespace?):
      let result = try plugin.add(attachment, namespace: namespace)
      do throws(CNIError) {
        try StandardStream.print(result.json(version: invocation.configuration.version).text)
      } catch {
        // Nobody knows of the attachment: it must not stay.
        try? plugin.del(attachment, namespace: namespace)
        throw error
      }
      return result
    case (.check, let attachment?, let namespace?):
      try plugin.check(attachment, namespace: namespace)
    case (.del, let attachment?, let namespace):
      try plugin.del(attachment, namespace: namespace)
    case (.gc, _, _):
      guard let valid = try invocation.configuration.validAttachments() else {
        throw invocation.configuration.keys.invalid(
          "cni.dev/valid-attachments", "is missing: GC frees nothing without it")
      }
      try plugin.gc(keeping: valid)
    case (.status, _, _):
      try plugin.status()
    case (.add, _, _), (.check, _, _), (.del, _, _), (.version, _, _):
      // VERSION needs no configuration, and an invocation has what its verb requires.
      preconditionFailure("an invocation is complete")
    }
    return CNIResult()
  }

  /// Prints the error for the runtime; where that fails, on stderr for whoever may read it.
  private static func report(_ error: CNIError, version: String) {
    do throws(CNIError) { try StandardStream.print(error.json(version: version).text) } catch {
      StandardStream.printDiagnostic("\(name): \(error.message)")
    }
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

  /// Without CNI_COMMAND a person has called: a command of the plugin's, or what it is.
  private static func runForPerson() -> Int32 {
    do throws(CNIError) {
      let arguments = try commandLineArguments()
      if let word = arguments.first, word != "--help", word != "help" {
        if let status = try command(arguments) { return status }
        throw CNIError(
          .invalidEnvironment, "there is no command \"\(word)\"", details: "usage:\n\(usage)")
      }
      let about = "\(name) \(suiteVersion), a CNI plugin; protocol versions \(ProtocolVersion.list)"
      try StandardStream.print(Array("\(about)\n\(usage)".utf8))
      return 0
    } catch {
      StandardStream.printDiagnostic("\(name): \(error.message)")
      if !error.details.isEmpty { StandardStream.printDiagnostic(error.details) }
      return 1
    }
  }

  /// The version an error is printed in: the input's own where it can be read.
  private static func errorVersion(_ input: [UInt8]) -> String {
    guard let json = try? JSON(parsing: input), let version = json.object?["cniVersion"]?.string,
      ProtocolVersion(version) != nil
    else { return ProtocolVersion.newest.description }
    return version
  }
}

/// The suite's own version.
public let suiteVersion = "0.1.0"

extension Verb {
  init?(_ text: String) {
    guard let verb = Verb.allCases.first(where: { $0.rawValue == text }) else { return nil }
    self = verb
  }

  static var list: String { allCases.map { $0.rawValue }.joined(separator: ", ") }
}
