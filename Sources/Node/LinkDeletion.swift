// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import CNetlink
import Embedded
import Netlink
import System

/// The deletion of links, under way.
///
/// The kernel answers the message that deletes a link only when every CPU has finished with the link, about
/// 20 ms after it is gone (`rcu_barrier`). So a child process sends the message and waits for the answer. This
/// process continues as soon as the kernel reports that the link is gone. An error comes at once; the child
/// passes it on through a pipe. If the child cannot be started or dies, this process sends the message itself.
public struct LinkDeletion: ~Copyable {
  /// One of the links, which go together; nil if nothing is under way.
  private let link: LinkIndex?
  private let request: Request
  private let worker: Worker?
  /// The error of a step before the deletion, or of a deletion that has ended.
  private let error: CNIError?

  /// Nothing to delete.
  public init() {
    link = nil
    request = .deleteLinks(group: 0)
    worker = nil
    error = nil
  }

  /// Starts the deletion of a link; of a pair, of both ends. `wait` throws the errors.
  /// - Parameter waits: whether this process is to send the message and wait for the answer. It does so too if
  ///   no child can be started. In both cases the link is gone when this returns, unless the kernel refuses.
  public init(of link: Link, in kernel: borrowing Kernel, waits: Bool) {
    let request = Request.deleteLink(.index(link.index))
    self.init(link.index, request, waits ? nil : Worker(deleting: link.index, request), kernel)
  }

  /// Starts the deletion of several links, in one message. See `privateGroup`.
  /// - Parameters:
  ///   - group: a group that no other link is in.
  ///   - waits: as for one link.
  public init(
    of links: [Link], group: UInt32, in kernel: borrowing Kernel, waits: Bool
  ) {
    let request = Request.deleteLinks(group: group)
    var grouped: LinkIndex?
    var error: CNIError?
    do throws(CNIError) {
      let requests = links.map { Request.changeLink(.index($0.index), LinkChange(group: group)) }
      let failures = try kernel.failures(performing: requests)
      grouped = links.indices.first { index in !failures.contains { $0.index == index } }
        .map { links[$0].index }
      error = failures.first { !$0.error.isMissing }.map { CNIError($0.error) }
    } catch let failure {
      error = failure
    }
    var worker: Worker?
    if !waits, let grouped { worker = Worker(deleting: grouped, request) }
    self.init(grouped, request, worker, kernel, error)
  }

  @inline(never)
  private init(
    _ link: LinkIndex?, _ request: Request, _ worker: consuming Worker?, _ kernel: borrowing Kernel,
    _ error: CNIError? = nil
  ) {
    var (link, error) = (link, error)
    if worker == nil, link != nil {
      do throws(CNIError) { try kernel.performIfPresent([request]) } catch let failure {
        error = failure
      }
      link = nil
    }
    self.link = link
    self.request = request
    self.worker = worker
    self.error = error
  }

  /// A random group number: none of these links has it, and it is very unlikely that another process chooses
  /// it (30 random bits).
  public static func privateGroup(besides links: [Link]) -> UInt32 {
    while true {
      var group: UInt32 = 0
      getentropy(&group, MemoryLayout<UInt32>.size)
      // Low numbers have names, and the kernel keeps the number as a signed integer.
      group = group & 0x3fff_ffff | 0x4000_0000
      if !links.contains(where: { $0.group == group }) { return group }
    }
  }

  /// Waits until the links are gone from every namespace. Their names are free then.
  /// - Throws: error 100 if the kernel refuses; a missing link is not an error.
  public borrowing func wait(_ kernel: borrowing Kernel) throws(CNIError) {
    if let link { try wait(for: link, kernel) }
    if let error { throw error }
  }

  private borrowing func wait(
    for link: LinkIndex, _ kernel: borrowing Kernel
  ) throws(CNIError) {
    while let event = worker?.next(request) {
      switch event {
      case .linkIsGone: return
      case .refused(let error): throw CNIError(error)
      case .unknown, .ended: if try kernel.link(at: link) == nil { return }
      }
      // If the child was killed or could not send the message, this process sends it.
      if case .ended = event { break }
    }
    try kernel.performIfPresent([request])
  }
}

/// The child that sends the message, and the two ways to learn that the deletion is done.
private struct Worker: ~Copyable {
  private let socket: DeletedLinkSocket
  private let child: ChildProcess
  /// The read end of a pipe. The child writes an error into the pipe, or closes its end by exiting.
  private let pipe: FileDescriptor

  enum Event {
    case linkIsGone
    case refused(NetlinkError)
    case ended
    /// No report has come in time, or one was lost.
    case unknown
  }

  /// nil if this process has to send the message itself.
  init?(deleting link: LinkIndex, _ request: Request) {
    var ends: [Int32] = [-1, -1]
    guard let socket = try? DeletedLinkSocket(of: link), pipe2(&ends, O_CLOEXEC) == 0 else {
      return nil
    }
    let pipe = FileDescriptor(ends[0])
    let output = ends[1]
    let child = try? ChildProcess(keeping: output) {
      do throws(NetlinkError) { try RouteSocket().perform(request) } catch {
        // A missing link: the parent looks for itself.
        if !error.isMissing { try? FileDescriptor(output).writeAll("a pipe", error.message) }
      }
    }
    close(output)
    guard let child else { return nil }
    self.socket = socket
    self.child = child
    self.pipe = pipe
  }

  /// Waits for the next event, for a second at most.
  borrowing func next(_ request: Request) -> Event {
    var sources = [
      pollfd(fd: socket.rawValue, events: Int16(POLLIN), revents: 0),
      pollfd(fd: pipe.rawValue, events: Int16(POLLIN), revents: 0),
    ]
    let count = poll(&sources, 2, 1000)
    if count == 0 || count < 0 && Errno.last == .interrupted { return .unknown }
    if sources[0].revents != 0 || count < 0 {
      guard let isGone = try? socket.takeReport() else { return .unknown }
      if isGone { return .linkIsGone }
    }
    // If `poll` failed, this read blocks until the child ends.
    guard let message = try? pipe.readAll("the child's error") else { return .ended }
    child.waitForEnd()
    return NetlinkError(message: message, request.attempt).map { .refused($0) } ?? .ended
  }
}

extension NetlinkError {
  /// The error as bytes: its number, then its text.
  fileprivate var message: [UInt8] {
    withUnsafeBytes(of: errno.rawValue) { Array($0) } + Array((text ?? "").utf8)
  }

  fileprivate init?(message: [UInt8], _ attempt: String) {
    let size = MemoryLayout<Int32>.size
    guard message.count >= size else { return nil }
    let number = message.withUnsafeBytes { $0.loadUnaligned(as: Int32.self) }
    let text = String(decoding: message[size...])
    self.init(attempt: attempt, errno: Errno(number), text: text.isEmpty ? nil : text)
  }
}
