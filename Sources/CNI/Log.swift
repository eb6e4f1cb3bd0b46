import CNetlink
import Embedded
import System

/// The log: one line for each call of a plugin.
///
/// Nothing here throws: a failure to log must not fail a call.
public struct Log {
  /// The file that the tutorial's plugin wrote to.
  public static let defaultPath = "/var/log/humanz_cni.log"

  /// nil: nothing is logged.
  private let path: String?

  /// - Parameter path: the configuration's `logFile`; empty for no log.
  public init(path: String) { self.path = path.isEmpty ? nil : path }

  /// Appends one line that begins with the time. One write keeps lines of concurrent calls whole. The
  /// file is made readable for root only. Nothing is written to a link, a device or a file with a second
  /// name: somebody else may have put it there.
  public func write(_ line: String) {
    guard let path else { return }
    let flags = O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY
    guard let file = try? FileDescriptor(path: path, flags: flags), file.isPlainFile else { return }
    let oneLine = Array(line.utf8).map { $0 < 0x20 ? 0x20 : $0 }
    try? file.writeAll(path, Array("\(Clock.timestamp()) ".utf8) + oneLine + [0x0a])
  }
}

/// The line of one call.
struct LogEntry {
  private var line: String
  private var log = Log(path: Log.defaultPath)
  var addresses: [String] = []
  var error: CNIError?

  init(plugin: String, verb: String) { line = "\(plugin) \(verb)" }

  mutating func describe(_ invocation: Invocation) {
    log = invocation.configuration.log
    line += " network=\(invocation.configuration.name)"
    guard let attachment = invocation.attachment else { return }
    line += " container=\(attachment.containerID)"
    if let pod = invocation.pod { line += " pod=\(pod)" }
    line += " interface=\(attachment.interface)"
  }

  func write(microseconds: Int) {
    var line = line
    if !addresses.isEmpty { line += " addresses=\(addresses.joined(separator: ","))" }
    line += " duration=\(microseconds)us"
    if let error {
      line += " error=\(error.code.rawValue) \(error.message)"
      if !error.details.isEmpty { line += " (\(error.details))" }
    }
    log.write(line)
  }
}
