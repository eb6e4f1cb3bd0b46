import Addresses
import CNI
import Embedded
import Leases
import Node
import System

/// What `humanz leases` says of a network.
struct LeaseReport {
  /// A lease with what its attachment's file adds.
  fileprivate struct Line {
    let lease: Lease
    let since: String
    /// Why it was left behind; nil where it is held.
    let stale: String?
  }

  private let network: NetworkName
  private let lines: [Line]
  private let pools: [(set: RangeSet, used: Int)]

  init(of network: NetworkName, _ store: borrowing LeaseReader) throws(SystemError) {
    self.network = network
    var leftBehind = LeftBehind()
    var lines: [Line] = []
    for address in try store.leases.leased().sorted() {
      guard let lease = try store.leases.lease(of: address) else { continue }
      let record = try store.record(of: lease)
      var since = record?.time
      if since == nil { since = try store.leases.timestamp(of: "\(address)") }
      lines.append(
        Line(lease: lease, since: since!, stale: record.flatMap { leftBehind.reason($0) }))
    }
    self.lines = lines
    pools =
      try store.pools()?.sets.map { set in
        (set, lines.count { set.gives($0.lease.address) })
      } ?? []
  }

  /// A line for each lease, and one for each pool.
  var table: String {
    var rows = [["ADDRESS", "CONTAINER", "INTERFACE", "SINCE", "STATE"]]
    rows += lines.map { line in
      let attachment = line.lease.holder.attachment
      return [
        "\(line.lease.address)", attachment.map { "\($0.containerID)" } ?? "?",
        attachment.map { "\($0.interface)" } ?? "?", line.since,
        line.stale.map { "stale: \($0)" } ?? "held",
      ]
    }
    let utilisation = pools.map { pool in
      "\(pool.set): \(pool.used) of \(pool.set.total) used"
        + " (\(UInt128(pool.used) * 100 / pool.set.total) %)"
    }
    return (["network \(network)"] + textTable(rows) + utilisation).joined(separator: "\n")
  }

  var json: JSON {
    .object(
      JSONObject(
        ("network", .string(network.description)),
        ("leases", .array(lines.map { $0.json })),
        (
          "pools",
          .array(
            pools.map { pool in
              .object(
                JSONObject(
                  ("pool", .string(pool.set.description)), ("used", .number(pool.used)),
                  ("total", .number(pool.set.total))))
            })
        )))
  }
}

extension LeaseReport.Line {
  fileprivate var json: JSON {
    let attachment = lease.holder.attachment
    return .object(
      JSONObject(
        ("address", .string(lease.address.description)),
        ("containerID", attachment.map { .string($0.containerID.description) }),
        ("interface", attachment.map { .string($0.interface.description) }),
        ("since", .string(since)), ("state", .string(stale == nil ? "held" : "stale")),
        ("reason", stale.map { .string($0) })))
  }
}
