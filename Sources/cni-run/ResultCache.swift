import CNI
import CNetlink

/// An ADD as it is kept for CHECK, DEL and GC: what it was for and its result.
struct KeptResult {
  let attachment: RuntimeAttachment
  let result: JSON
}

/// The results of ADD, one file an attachment. With each is what a GC needs for a DEL of its own.
struct ResultCache {
  private let folder: String
  private let network: NetworkName

  /// The folder is CNI_RUN_CACHE, or `/run/humanz/cni-run`.
  init(network: NetworkName) {
    folder = environmentVariable("CNI_RUN_CACHE") ?? "/run/humanz/cni-run"
    self.network = network
  }

  func store(_ result: JSON, for attachment: RuntimeAttachment) throws(CNIError) {
    for (index, byte) in folder.utf8.enumerated().dropFirst() where byte == UInt8(ascii: "/") {
      mkdir(String(Substring(folder.utf8.prefix(index))), 0o700)
    }
    mkdir(folder, 0o700)
    let path = path(attachment.attachment)
    let file = try FileDescriptor(path: "\(path).new", flags: O_WRONLY | O_CREAT | O_TRUNC)
    let kept = JSONObject(
      ("netns", .string(attachment.namespace)), ("args", .string(attachment.arguments)),
      ("capabilityArgs", .object(attachment.capabilities)), ("result", result))
    try file.writeAll(JSON.object(kept).text + [0x0a])
    guard rename("\(path).new", path) == 0 else {
      throw CNIError(.io, "cannot keep the result in \(path): \(SystemError.last)")
    }
  }

  func load(_ attachment: Attachment) -> KeptResult? {
    guard let file = try? FileDescriptor(path: path(attachment), flags: O_RDONLY),
      let text = try? file.readAll(), let kept = (try? JSON(parsing: text))?.object,
      let result = kept["result"]
    else { return nil }
    return KeptResult(
      attachment: RuntimeAttachment(
        attachment: attachment, namespace: kept["netns"]?.string ?? "",
        arguments: kept["args"]?.string ?? "",
        capabilities: kept["capabilityArgs"]?.object ?? JSONObject()),
      result: result)
  }

  func remove(_ attachment: Attachment) { unlink(path(attachment)) }

  /// The network's attachments that have a result here.
  func attachments() -> [Attachment] {
    guard let directory = opendir(folder) else { return [] }
    defer { closedir(directory) }
    var found: [Attachment] = []
    while let entry = readdir(directory) {
      let parts = String(cString: humanz_dirent_name(entry)).utf8
        .split(separator: UInt8(ascii: ":")).map { String(Substring($0)) }
      if parts.count == 3, parts[0] == network.description,
        let containerID = ContainerID(parts[1]), let interface = InterfaceName(parts[2])
      {
        found.append(Attachment(containerID: containerID, interface: interface))
      }
    }
    return found
  }

  /// No part can have a ':', so that every attachment has a name of its own.
  private func path(_ attachment: Attachment) -> String {
    "\(folder)/\(network):\(attachment.containerID):\(attachment.interface)"
  }
}

/// The folder this program is in. The corresponding C function is `readlink`.
func executableFolder() -> String? {
  var buffer = [UInt8](repeating: 0, count: 4096)
  let count = buffer.withUnsafeMutableBytes {
    readlink("/proc/self/exe", $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
  }
  guard count > 0, let slash = buffer[..<count].lastIndex(of: UInt8(ascii: "/")) else { return nil }
  return String(decoding: buffer[..<slash], as: UTF8.self)
}
