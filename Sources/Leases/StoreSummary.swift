// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded
import System

/// What the store keeps of the last ADD's configuration, in `attachments/.pools`: commands for people
/// and STATUS have no other source for it.
public struct StoreSummary {
  /// The ranges that the ADD leased from, those of the runtime and of the cluster file among them.
  public let pools: Pools
  /// The link that a chained ADD puts the gateway addresses on; nil if there is none.
  public let bridge: InterfaceName?

  init(pools: Pools, bridge: InterfaceName?) {
    self.pools = pools
    self.bridge = bridge
  }

  /// nil for what is not a summary.
  init?(parsing text: [UInt8]) {
    guard let object = (try? JSON(parsing: text))?.object, let pools = try? Pools(Keys(object))
    else { return nil }
    self.pools = pools
    bridge = object["bridge"]?.string.flatMap { InterfaceName($0) }
  }

  var text: [UInt8] {
    JSON.object(
      JSONObject(
        ("ranges", pools.rangesJSON), ("exclude", pools.excludeJSON),
        ("bridge", bridge.map { .string($0.description) }))
    ).text
  }
}

private let summaryFile = ".pools"

extension Directory {
  /// The summary in a directory of attachment files; nil if there is none, or it cannot be read.
  public borrowing func summary() throws(SystemError) -> StoreSummary? {
    // With thousands of ranges the file is larger than `readLimit`.
    guard let text = try readFile(summaryFile, limit: FileDescriptor.sizeLimit) else { return nil }
    return StoreSummary(parsing: text)
  }
}

extension LeaseStore {
  /// Writes the summary. Costs one system call if the file has the same content, which its time mark shows.
  borrowing func write(_ summary: StoreSummary) throws(SystemError) {
    let text = summary.text
    let mark = TimeMark(text)
    if mark.isOn(try attachments.status(of: summaryFile)) { return }
    try attachments.write(LeaseStore.newFile, text)
    try attachments.set(mark, on: LeaseStore.newFile)
    try attachments.rename(LeaseStore.newFile, to: summaryFile, in: attachments)
  }
}
