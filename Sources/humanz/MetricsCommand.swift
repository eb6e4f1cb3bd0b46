// SPDX-License-Identifier: Apache-2.0
import CNI
import CNetlink
import Embedded
import Leases
import Routes
import System

/// `humanz metrics`: prints the node's metrics.
func printMetrics(_ arguments: Arguments) throws(CNIError) -> Int32 {
  let text = try Metrics().text
  // Without the final newline, which `print` adds.
  do { try StandardStream.print(Array(text.utf8.dropLast())) } catch { throw CNIError(error) }
  return 0
}

/// The node's metrics in Prometheus' text format, as node_exporter's textfile collector reads it.
struct Metrics {
  private(set) var text = ""

  init() throws(CNIError) {
    let configured = try ConfiguredNetworks(file: nil)
    try addLeases(configured)
    try addPorts(configured)
    try addRoutes(configured)
    addSync(configured)
    addErrors(configured)
  }

  // MARK: - The metrics

  private mutating func addLeases(_ configured: ConfiguredNetworks) throws(CNIError) {
    let reports = try Overview.leases(configured)
    // A network has two stores if its `dataDir` was changed: their leases are added.
    var (used, stale) = (Counts(), Counts())
    var sizes: [String] = []
    for (name, report) in reports {
      for pool in report.usage where used.count(["\(name)", "\(pool.set)"], pool.used) {
        sizes.append("\(pool.set.total)")
      }
      stale.count(["\(name)"], report.rows.count { $0.stale != nil })
    }
    let labels = ["network", "pool"]
    begin("humanz_leases_used", "Addresses of a pool that are leased.")
    add(used, labels)
    begin("humanz_leases_size", "Addresses in a pool.")
    for (index, size) in sizes.enumerated() { add(used.all[index].words, labels, size) }
    begin("humanz_leases_stale", "Leases whose holder is gone.")
    add(stale, labels)
  }

  private mutating func addPorts(_ configured: ConfiguredNetworks) throws(CNIError) {
    let ports = try PortReport(configured).ports.filter { $0.network != nil }
    begin("humanz_ports", "Ports of pods, by state: up, or why no packets pass.")
    var counts = Counts()
    for port in ports { counts.count(["\(port.network!)", port.problem ?? "up"]) }
    add(counts, ["network", "state"])
  }

  private mutating func addRoutes(_ configured: ConfiguredNetworks) throws(CNIError) {
    let report = try RouteReport(configured)
    begin("humanz_routes", "Destinations of a network, by state.")
    var counts = Counts()
    for row in report.rows { counts.count([row.network.map { "\($0)" } ?? "", row.state]) }
    add(counts, ["network", "state"])
    begin("humanz_problems", "Number of problems with routes, forwarding and firewalls.")
    add([], "\(report.problems.count)")
  }

  private mutating func addSync(_ configured: ConfiguredNetworks) {
    var files: [String] = []
    for network in configured.networks.compactMap({ $0.routed }) {
      if let file = network.clusterFile, !files.contains(file) { files.append(file) }
    }
    if files.isEmpty { return }
    begin(
      "humanz_sync_last_heard_timestamp_seconds",
      "When `humanz sync` last heard from the cluster; 0 for never.")
    for file in files {
      var status = stat()
      let isThere = stat(file, &status) == 0
      add([("file", file)], isThere ? "\(status.st_mtim.tv_sec)" : "0")
    }
  }

  private mutating func addErrors(_ configured: ConfiguredNetworks) {
    var counts = Counts()
    for file in configured.logFiles {
      for (words, count) in CountedLog.errors(in: file).all { counts.count(words, count) }
    }
    begin("humanz_errors_total", "Failed calls of a plugin, counted from its log.", "counter")
    add(counts, ["plugin", "code"])
  }

  // MARK: - The format

  private var name = ""

  private mutating func begin(_ name: String, _ help: String, _ type: String = "gauge") {
    self.name = name
    text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
  }

  private mutating func add(_ labels: [(name: String, value: String)], _ value: String) {
    let list = labels.map { "\($0.name)=\"\(escaped($0.value))\"" }.joined(separator: ",")
    text += "\(name)\(list.isEmpty ? "" : "{\(list)}") \(value)\n"
  }

  private mutating func add(_ counts: Counts, _ labels: [String]) {
    for (values, count) in counts.all { add(values, labels, "\(count)") }
  }

  private mutating func add(_ values: [String], _ labels: [String], _ value: String) {
    add(zip(labels, values).map { (name: $0, value: $1) }, value)
  }
}

/// The errors in a log, by plugin and code, as far as it was read. `sync --watch` counts after each repair: it reads
/// only what was added to the log since.
struct CountedLog {
  nonisolated(unsafe) private static var all: [CountedLog] = []

  private let path: String
  private var inode: ino_t = 0
  /// The end of the last whole line that was counted, as an offset in bytes.
  private var end = 0
  private var counts = Counts()

  /// Counts what was added to a log. A log that was replaced, or has become shorter, is counted anew.
  static func errors(in path: String) -> Counts {
    let index = all.firstIndex { $0.path.isSame(as: path) } ?? all.count
    if index == all.count { all.append(CountedLog(path: path)) }
    all[index].update()
    return all[index].counts
  }

  private init(path: String) { self.path = path }

  private mutating func update() {
    // Only a regular file with one name, which is all that the plugins write to.
    let flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK
    var status = stat()
    guard let file = try? FileDescriptor(path: path, flags: flags), file.isPlainFile,
      fstat(file.rawValue, &status) == 0
    else {
      (inode, end, counts) = (0, 0, Counts())
      return
    }
    if status.st_ino != inode || Int(status.st_size) < end {
      (inode, end, counts) = (status.st_ino, 0, Counts())
    }
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    var line: [UInt8] = []
    var offset = end
    while case let size = pread(file.rawValue, &chunk, chunk.count, off_t(offset)), size > 0 {
      var rest = chunk[..<size]
      while let feed = rest.firstIndex(of: 0x0a) {
        count(String(decoding: line + rest[..<feed]))
        line = []
        rest = rest[(feed + 1)...]
        end = offset + feed + 1
      }
      // Of a line longer than 64 KiB the start is enough.
      if line.count < chunk.count { line += rest }
      offset += size
    }
  }

  private mutating func count(_ line: String) {
    let words = line.fields(separatedBy: " ")
    let mark = "error="
    guard words.count > 2, let error = words.first(where: { $0.begins(with: mark) }) else { return }
    counts.count([words[1], error.dropping(bytes: mark.utf8.count)])
  }
}

/// A number for each combination of words.
struct Counts {
  private(set) var all: [(words: [String], count: Int)] = []

  /// - Returns: whether the combination is new.
  @discardableResult
  mutating func count(_ words: [String], _ number: Int = 1) -> Bool {
    guard let index = all.firstIndex(where: { $0.words == words }) else {
      all.append((words, number))
      return true
    }
    all[index].count += number
    return false
  }
}
