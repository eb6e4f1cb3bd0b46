// SPDX-License-Identifier: Apache-2.0
import CNetlink
import Embedded
import System

/// The log: one line for each call of a plugin.
///
/// Nothing here throws: a failure to log must not fail a call.
public struct Log {
  /// The tutorial's plugin logs to the same path, so that its users find the log in the same place.
  public static let defaultPath = "/var/log/humanz_cni.log"

  /// The value of `logFile` for systemd's journal.
  public static let journal = "journal"

  /// nil: nothing is logged.
  private let path: String?

  /// A log at a path. Nothing is opened before the first line.
  /// - Parameter path: the configuration's `logFile`: empty for no log, `journal` for systemd's journal.
  public init(path: String) { self.path = path.isEmpty ? nil : path }

  /// Appends one line that begins with the time. One write keeps lines of concurrent calls whole. The
  /// file is made readable for root only. Nothing is written to a link, a device or a file with a second
  /// name: another user may have put it there.
  ///
  /// With "journal" as the path, it sends the line to journald.
  /// - Parameter fields: for the journal alone, each `NAME=value` and a line feed.
  public func write(_ line: String, fields: String = "") {
    guard let path else { return }
    let oneLine = withoutControls(Array(line.utf8))
    if path == Log.journal {
      let entry = Array("\(fields)MESSAGE=".utf8) + oneLine + [0x0a]
      humanz_send_to_journal(entry, entry.count)
      return
    }
    let flags = O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY
    guard let file = try? FileDescriptor(path: path, flags: flags), file.isPlainFile else { return }
    try? file.writeAll(path, Array("\(Clock.timestamp()) ".utf8) + oneLine + [0x0a])
  }
}

/// The text with a space in place of each byte of a terminal control, so that a terminal can show the log.
func withoutControls(_ text: [UInt8]) -> [UInt8] {
  replacingTerminalControls(text) { control in Array(repeating: 0x20, count: control.count) }
}

/// The line of one call.
struct LogEntry {
  private var line: String
  /// The call's fields for the journal, each `NAME=value` and a line feed.
  private var fields: String
  private var log = Log(path: Log.defaultPath)
  var addresses: [String] = []
  var error: CNIError?

  init(plugin: String, verb: String) {
    line = "\(plugin) \(verb)"
    fields = "SYSLOG_IDENTIFIER=\(plugin)\n"
  }

  mutating func describe(_ invocation: Invocation) {
    log = invocation.configuration.log
    fields += "HUMANZ_VERB=\(invocation.verb.rawValue)\n"
    add("network", "NETWORK", "\(invocation.configuration.name)")
    guard let attachment = invocation.attachment else { return }
    add("container", "CONTAINER", "\(attachment.containerID)")
    if let pod = invocation.pod { add("pod", "POD", "\(pod)") }
    add("interface", "INTERFACE", "\(attachment.interface)")
  }

  @inline(never)
  private mutating func add(_ name: String, _ field: String, _ value: String) {
    line += " \(name)=\(value)"
    fields += "HUMANZ_\(field)=\(value)\n"
  }

  /// - Parameter start: when the call began, in microseconds of `Clock`; nil if it was not measured: the
  ///   duration is then 0.
  func write(since start: Int?) {
    var entry = self
    if !addresses.isEmpty {
      entry.add("addresses", "ADDRESSES", addresses.joined(separator: ","))
    }
    entry.line += " duration=\(start.map { Clock.microseconds() - $0 } ?? 0)us"
    if let error {
      entry.fields += "PRIORITY=3\nHUMANZ_ERROR=\(error.code.rawValue)\n"
      entry.line += " error=\(error.code.rawValue) \(error.message)"
      if !error.details.isEmpty { entry.line += " (\(error.details))" }
    } else {
      entry.fields += "PRIORITY=6\n"
    }
    log.write(entry.line, fields: entry.fields)
  }
}
