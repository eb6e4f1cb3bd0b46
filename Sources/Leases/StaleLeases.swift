// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import CNetlink
import Embedded
import Node
import System

/// Finds stale leases: those whose holder is certainly gone.
public struct StaleLeases: ~Copyable {
  /// Opened when it is first needed, which is rare.
  private var node: Node?

  /// Nothing is opened yet.
  public init() { node = nil }

  /// Why a lease cannot be in use; nil if it may be.
  ///
  /// Either the node has rebooted since, or both the pod's namespace and its interface on the node are gone.
  /// If only one of them is gone, or one is not known, the lease may be in use.
  public mutating func reason(_ record: AttachmentRecord) -> String? {
    if let bootID = record.bootID, let current = Boot.id, bootID != current {
      return "the node was restarted since"
    }
    guard let namespace = record.namespace, let interface = record.hostInterface,
      access(namespace, F_OK) != 0, humanz_errno() == ENOENT, isGone(interface)
    else { return nil }
    return "the namespace \(namespace) and the link \(interface) are gone"
  }

  private mutating func isGone(_ interface: InterfaceName) -> Bool {
    do throws(CNIError) {
      if node == nil { node = try Node() }
      return try !node!.hasLink(interface)
    } catch {
      return false
    }
  }
}

extension Directory {
  /// Which of these attachments are certainly gone, by their files in this directory, and why. Changes
  /// nothing.
  public borrowing func stale(
    among attachments: [Attachment]
  ) throws(SystemError) -> [(record: AttachmentRecord, reason: String)] {
    var stale = StaleLeases()
    var found: [(record: AttachmentRecord, reason: String)] = []
    for attachment in attachments {
      if let record = try record(of: attachment), let reason = stale.reason(record) {
        found.append((record, reason))
      }
    }
    return found
  }
}

extension LeaseStore {
  /// Frees stale leases; none without a complete index.
  /// - Parameters:
  ///   - holders: whose leases; nil for all.
  ///   - report: gets a sentence for each.
  /// - Returns: whether it freed any.
  mutating func reclaim(
    of holders: [Attachment]? = nil, report: (String) -> Void
  ) throws(SystemError) -> Bool {
    // Without a complete index an attachment's file may be outdated.
    guard state != .incomplete else { return false }
    var hasReclaimed = false
    var among = holders ?? []
    if holders == nil { among = try attachments.attachments() }
    for (record, reason) in try attachments.stale(among: among) {
      let attachment = record.attachment
      try release(attachment) { addresses in
        for address in addresses {
          hasReclaimed = true
          report("reclaims the lease of \(address) from \(attachment.title): \(reason)")
        }
      }
    }
    return hasReclaimed
  }

  /// Frees the leases of all attachments but the valid ones. Continues after an error.
  /// - Returns: the errors; empty if everything was freed.
  public mutating func freeAll(except valid: [Attachment]) -> [SystemError] {
    var errors: [SystemError] = []
    do throws(SystemError) { try index() } catch { errors.append(error) }
    let kept = valid.map { $0.fileName }.sortedByBytes()
    do throws(SystemError) {
      for attachment in try holders() where !kept.containsSorted(attachment.fileName) {
        do throws(SystemError) { try release(attachment) } catch { errors.append(error) }
      }
    } catch {
      errors.append(error)
    }
    return errors
  }

  /// Every attachment that has a file; if the index is incomplete, also every one that has a lease.
  private borrowing func holders() throws(SystemError) -> [Attachment] {
    var holders = try attachments.attachments()
    guard state == .incomplete else { return holders }
    for address in try leases.leased() {
      if let attachment = (try? leases.lease(of: address))??.holder.attachment {
        holders.append(attachment)
      }
    }
    return holders
  }
}
