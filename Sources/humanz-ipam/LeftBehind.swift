import CNI
import CNetlink
import Stage

/// Tells leases that were left behind: those whose holder cannot be there any more.
struct LeftBehind: ~Copyable {
  /// Opened where it is needed first: mostly it is not.
  private var node: Node?

  init() { node = nil }

  /// Why a lease cannot be in use; nil where it may be.
  ///
  /// The boot it was made in is over; or its namespace and its interface on the node are both gone. One
  /// of the last two alone says nothing, nor does what is not known.
  mutating func reason(_ record: AttachmentRecord) -> String? {
    if let bootID = record.bootID, let current = Boot.id, bootID != current {
      return "the boot it was made in is over"
    }
    guard let namespace = record.namespace, let interface = record.hostInterface,
      access(namespace, F_OK) != 0, humanz_errno() == ENOENT, isGone(interface)
    else { return nil }
    return "the namespace \(namespace) and the link \(interface) are gone"
  }

  private mutating func isGone(_ interface: InterfaceName) -> Bool {
    do throws(CNIError) {
      if node == nil { node = try Node() }
      return try node!.link(interface) == nil
    } catch {
      return false
    }
  }
}

extension Directory {
  /// The attachments with a file in this directory whose leases were left behind, and why. Nothing is
  /// changed.
  borrowing func leftBehind() throws(StoreError) -> [(attachment: Attachment, reason: String)] {
    var leftBehind = LeftBehind()
    var found: [(attachment: Attachment, reason: String)] = []
    for attachment in try attachments() {
      if let record = try record(of: attachment), let reason = leftBehind.reason(record) {
        found.append((attachment, reason))
      }
    }
    return found
  }
}

extension LeaseStore {
  /// Frees the leases that were left behind, each with a line in the log.
  /// - Returns: whether there were any.
  mutating func reclaim(log: Log) throws(StoreError) -> Bool {
    let found = try attachments.leftBehind()
    for (attachment, reason) in found {
      for address in try addresses(of: attachment) {
        log.write("\(IPAMPlugin.name) reclaims \(address) of \(attachment.title): \(reason)")
      }
      try release(attachment)
    }
    return !found.isEmpty
  }

  /// Frees the leases of all attachments but the valid ones, going on after errors.
  /// - Returns: the errors.
  mutating func collect(keeping valid: [Attachment]) -> [StoreError] {
    var errors: [StoreError] = []
    let kept = valid.map { $0.fileName }.sortedByBytes()
    do throws(StoreError) {
      try index()
      for attachment in try attachments.attachments()
      where !kept.containsSorted(attachment.fileName) {
        do throws(StoreError) { try release(attachment) } catch { errors.append(error) }
      }
    } catch {
      errors.append(error)
    }
    return errors
  }
}
