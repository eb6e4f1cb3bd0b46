// SPDX-License-Identifier: Apache-2.0
import CNetlink

/// Waits until one of the descriptors has input or is at its end. The
/// corresponding C function is `poll`.
/// - Parameters:
///   - descriptors: a negative one is ignored.
///   - milliseconds: how long to wait; negative for no limit.
/// - Returns: for each descriptor whether something can be read; for none after the time or a signal.
public func readable(among descriptors: [Int32], milliseconds: Int32) -> [Bool] {
  var polled = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
  guard poll(&polled, nfds_t(polled.count), milliseconds) > 0 else {
    return descriptors.map { _ in false }
  }
  return polled.map { $0.revents != 0 }
}

/// SIGTERM and SIGINT, blocked and read from a descriptor instead, so that they interrupt no work. The
/// corresponding C functions are `sigprocmask` and `signalfd`.
public struct TerminationSignals: ~Copyable {
  private let file: FileDescriptor

  /// Blocks both signals from now on.
  /// - Throws: if no more descriptors can be opened. See signalfd(2).
  public init() throws(SystemError) {
    let raw = humanz_termination_signals()
    guard raw >= 0 else { throw .last("open a descriptor for signals") }
    file = FileDescriptor(raw)
  }

  /// For poll(2): it can be read once a signal has arrived.
  public var descriptor: Int32 { file.rawValue }
}
