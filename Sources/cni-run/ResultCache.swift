import CNI
import CNetlink

/// The results of ADD, one file an attachment, kept for CHECK and DEL.
struct ResultCache {
  private let folder: String
  private let network: NetworkName

  /// The folder is CNI_RUN_CACHE, or `/run/humanz/cni-run`.
  init(network: NetworkName) {
    folder = environmentVariable("CNI_RUN_CACHE") ?? "/run/humanz/cni-run"
    self.network = network
  }

  func store(_ result: JSON, for attachment: Attachment) throws(CNIError) {
    for (index, byte) in folder.utf8.enumerated().dropFirst() where byte == UInt8(ascii: "/") {
      mkdir(String(Substring(folder.utf8.prefix(index))), 0o700)
    }
    mkdir(folder, 0o700)
    let path = path(attachment)
    let file = try FileDescriptor(path: "\(path).new", flags: O_WRONLY | O_CREAT | O_TRUNC)
    try file.writeAll(result.text + [0x0a])
    guard rename("\(path).new", path) == 0 else {
      throw CNIError(.io, "cannot keep the result in \(path): \(SystemError.last)")
    }
  }

  func load(_ attachment: Attachment) -> JSON? {
    guard let file = try? FileDescriptor(path: path(attachment), flags: O_RDONLY),
      let text = try? file.readAll()
    else { return nil }
    return try? JSON(parsing: text)
  }

  func remove(_ attachment: Attachment) { unlink(path(attachment)) }

  /// Removes the results of the network's attachments that are not among these.
  func removeAll(but valid: [Attachment]) {
    guard let directory = opendir(folder) else { return }
    defer { closedir(directory) }
    let kept = valid.map { name($0) }
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name.utf8.starts(with: "\(network):".utf8), !kept.contains(name) {
        unlink("\(folder)/\(name)")
      }
    }
  }

  private func path(_ attachment: Attachment) -> String { "\(folder)/\(name(attachment))" }

  /// No part can have a ':', so that every attachment has a name of its own.
  private func name(_ attachment: Attachment) -> String {
    "\(network):\(attachment.containerID):\(attachment.interface)"
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
