import Addresses
import CNI
import CNetlink
import Embedded
import Leases
import Netlink
import Node

/// What is asked for on the command line.
struct RunCommand {
  static var usage: String {
    """
    usage: humanz run add|check|del CONFLIST NETNS [--ifname eth0] [--container-id ID]
                      [--args 'KEY=VALUE;…'] [--capability-args JSON]
           humanz run gc CONFLIST [--valid CONTAINER:INTERFACE]…
           humanz run status|version CONFLIST

    NETNS is the path of a network namespace, or its name in /run/netns; '-' in a del means that it
    is gone. The container ID is NETNS's last part unless given. Plugins are found in CNI_PATH, or
    beside humanz. Results are kept in CNI_RUN_CACHE, or /run/humanz/results.
    """
  }

  private let verb: Verb
  private let network: NetworkList
  private let attachment: RuntimeAttachment?
  private let valid: [Attachment]

  init(_ arguments: [String]) throws(CNIError) {
    var positional: [String] = []
    var options = Options()
    var rest = arguments[...]
    while let argument = rest.popFirst() {
      guard argument.utf8.starts(with: "--".utf8) else {
        positional.append(argument)
        continue
      }
      guard let value = rest.popFirst() else {
        throw CNIError(UsageError.code, "\(argument) needs a value")
      }
      try options.set(argument, value)
    }
    guard let verb = positional.first.flatMap({ RunCommand.verb($0) }) else {
      throw CNIError(UsageError.code, "expected one of add, check, del, gc, status and version")
    }
    let perAttachment = verb == .add || verb == .check || verb == .del
    guard positional.count == (perAttachment ? 3 : 2) else {
      throw CNIError(
        UsageError.code,
        "expected a conflist\(perAttachment ? " and a network namespace" : "")")
    }
    self.verb = verb
    network = try NetworkList(path: positional[1])
    attachment = perAttachment ? try options.attachment(namespace: positional[2]) : nil
    valid = options.valid
  }

  private static func verb(_ word: String) -> Verb? {
    switch word {
    case "add": .add
    case "check": .check
    case "del": .del
    case "gc": .gc
    case "status": .status
    case "version": .version
    default: nil
    }
  }

  /// - Returns: what is to be printed; nil for nothing.
  func run() throws(CNIError) -> JSON? {
    let runtime = Runtime(network: network)
    switch (verb, attachment) {
    case (.add, let attachment?): return try runtime.add(attachment)
    case (.check, let attachment?): try runtime.check(attachment)
    case (.del, let attachment?): try runtime.del(attachment)
    case (.gc, _): try runtime.gc(keeping: valid)
    case (.version, _): return try runtime.versions()
    default: try runtime.status()
    }
    return nil
  }
}

/// The options as they are read one by one.
private struct Options {
  private var interface = InterfaceName("eth0")!
  private var containerID: ContainerID?
  private var arguments = ""
  private var capabilities = JSONObject()
  private(set) var valid: [Attachment] = []

  mutating func set(_ option: String, _ value: String) throws(CNIError) {
    switch option {
    case "--ifname": interface = try Options.parse(option, value, InterfaceName(value))
    case "--container-id": containerID = try Options.parse(option, value, ContainerID(value))
    case "--args": arguments = value
    case "--capability-args":
      capabilities = try Options.parse(
        option, value, (try? JSON(parsing: Array(value.utf8)))?.object)
    case "--valid": valid.append(try Options.parse(option, value, Options.attachment(value)))
    default: throw CNIError(UsageError.code, "there is no option \(option)")
    }
  }

  func attachment(namespace: String) throws(CNIError) -> RuntimeAttachment {
    let isPath = namespace.utf8.contains(UInt8(ascii: "/"))
    let name = namespace.fields(separatedBy: "/").last
    let containerID = self.containerID ?? name.flatMap { ContainerID($0) }
    guard let containerID else {
      throw CNIError(
        UsageError.code, "--container-id is required: \(namespace) is not a container ID")
    }
    return RuntimeAttachment(
      attachment: Attachment(containerID: containerID, interface: interface),
      namespace: namespace == "-" ? "" : isPath ? namespace : "/run/netns/\(namespace)",
      arguments: arguments, capabilities: capabilities)
  }

  private static func attachment(_ text: String) -> Attachment? {
    let parts = text.fields(separatedBy: ":")
    guard parts.count == 2, let containerID = ContainerID(parts[0]),
      let interface = InterfaceName(parts[1])
    else { return nil }
    return Attachment(containerID: containerID, interface: interface)
  }

  private static func parse<Value>(
    _ option: String, _ text: String, _ value: Value?
  ) throws(CNIError) -> Value {
    guard let value else { throw CNIError(UsageError.code, "\(option): \"\(text)\" is invalid") }
    return value
  }
}
