// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded
import Leases
import Netlink
import Node

/// `humanz run`: prints the result, or one error in the form that a plugin prints it.
func runNetwork(_ arguments: Arguments) throws(CNIError) -> Int32 {
  guard let verb = runVerb(arguments.operands[0]) else {
    throw .wrongUsage(
      "\"\(arguments.operands[0])\" is none of add, check, del, gc, status and version")
  }
  let perAttachment = verb == .add || verb == .check || verb == .del
  guard arguments.operands.count == (perAttachment ? 3 : 2) else {
    throw .wrongUsage(
      perAttachment ? "NETNS is missing" : "\(arguments.operands[0]) takes no NETNS")
  }
  let attachment = perAttachment ? try RuntimeAttachment(arguments) : nil
  let valid = try arguments.all("--valid").map { (text) throws(CNIError) in
    try validAttachment(text)
  }
  do throws(CNIError) {
    let runtime = Runtime(network: try NetworkList(path: arguments.operands[1]))
    if let result = try runtime.run(verb, attachment, keeping: valid) { try Output.print(result) }
    return 0
  } catch {
    // A plugin's error or one of `Runtime`: both are printed as a plugin prints an error.
    try Output.print(error.json(version: ProtocolVersion.newest.description))
    return 1
  }
}

private func runVerb(_ word: String) -> Verb? {
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

private func validAttachment(_ text: String) throws(CNIError) -> Attachment {
  let parts = text.fields(separatedBy: ":")
  guard parts.count == 2, let containerID = ContainerID(parts[0]),
    let interface = InterfaceName(parts[1])
  else { throw .wrongUsage("--valid is \"\(text)\", expected CONTAINER:INTERFACE") }
  return Attachment(containerID: containerID, interface: interface)
}

/// An attachment as the runtime passes it to plugins.
struct RuntimeAttachment {
  let attachment: Attachment
  /// CNI_NETNS; empty if the namespace is gone.
  let namespace: String
  /// CNI_ARGS.
  let arguments: String
  /// What the runtime passes for each capability, by the capability's name.
  let capabilities: JSONObject
}

extension RuntimeAttachment {
  /// - Throws: wrong usage.
  fileprivate init(_ arguments: Arguments) throws(CNIError) {
    let namespace = arguments.operands[2]
    let isPath = namespace.utf8.contains(UInt8(ascii: "/"))
    var containerID = try arguments.parsed(
      "--container-id", as: ContainerID.expected, ContainerID.init)
    if containerID == nil {
      containerID = namespace.fields(separatedBy: "/").last.flatMap { ContainerID($0) }
    }
    guard let containerID else {
      throw .wrongUsage("--container-id is required: \"\(namespace)\" is not a container ID")
    }
    attachment = Attachment(
      containerID: containerID,
      interface: try arguments.parsed("--ifname", as: "an interface name", InterfaceName.init)
        ?? InterfaceName("eth0")!)
    self.namespace = namespace == "-" ? "" : isPath ? namespace : "/run/netns/\(namespace)"
    self.arguments = arguments["--args"] ?? ""
    capabilities =
      try arguments.parsed("--capability-args", as: "a JSON object") { text in
        (try? JSON(parsing: Array(text.utf8)))?.object
      } ?? JSONObject()
  }
}
