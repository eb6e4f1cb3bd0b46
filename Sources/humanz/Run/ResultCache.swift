// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import CNetlink
import Embedded
import Leases
import Netlink
import Node
import System

/// A result of ADD with its attachment, kept for CHECK, DEL and GC.
struct KeptResult {
  let attachment: RuntimeAttachment
  let result: JSON
}

/// The results of ADD, one file for each attachment. A file also has what GC needs to call DEL.
struct ResultCache {
  private let folder: String
  private let network: NetworkName

  /// The folder is CNI_RUN_CACHE, or `/run/humanz/results`.
  init(network: NetworkName) {
    folder = variable("CNI_RUN_CACHE") ?? "/run/humanz/results"
    self.network = network
  }

  func store(_ result: JSON, for attachment: RuntimeAttachment) throws(CNIError) {
    let kept = JSONObject(
      ("netns", .string(attachment.namespace)), ("args", .string(attachment.arguments)),
      ("capabilityArgs", .object(attachment.capabilities)), ("result", result))
    let name = name(attachment.attachment)
    do throws(SystemError) {
      guard let directory = try Directory(path: folder, make: true) else { return }
      try directory.write(".\(name).new", JSON.object(kept).text + [0x0a])
      try directory.rename(".\(name).new", to: name, in: directory)
    } catch {
      throw CNIError(error)
    }
  }

  func load(_ attachment: Attachment) -> KeptResult? {
    guard let text = try? FileDescriptor.contents(of: "\(folder)/\(name(attachment))"),
      let kept = (try? JSON(parsing: text))?.object, let result = kept["result"]
    else { return nil }
    return KeptResult(
      attachment: RuntimeAttachment(
        attachment: attachment, namespace: kept["netns"]?.string ?? "",
        arguments: kept["args"]?.string ?? "",
        capabilities: kept["capabilityArgs"]?.object ?? JSONObject()),
      result: result)
  }

  func remove(_ attachment: Attachment) {
    guard let directory = try? Directory(path: folder, make: false) else { return }
    _ = try? directory.remove(name(attachment))
  }

  /// The network's attachments that have a result here.
  func attachments() -> [Attachment] {
    guard let directory = try? Directory(path: folder, make: false),
      let names = try? directory.names()
    else { return [] }
    return names.compactMap { name in
      let parts = name.fields(separatedBy: ":")
      guard parts.count == 3, parts[0] == network.description,
        let containerID = ContainerID(parts[1]), let interface = InterfaceName(parts[2])
      else { return nil }
      return Attachment(containerID: containerID, interface: interface)
    }
  }

  /// No part contains ':', so each attachment has a unique name.
  private func name(_ attachment: Attachment) -> String {
    "\(network):\(attachment.containerID):\(attachment.interface)"
  }
}
