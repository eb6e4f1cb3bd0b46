// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Foundation
import System
import TestSupport
import Testing

@testable import Leases

/// The store, compared with a plain model of the holders.
@Suite struct LeaseStoreTests {
  private let folder: String

  init() throws {
    // In memory if possible: on a disk each change waits for the disk.
    let base = FileManager.default.fileExists(atPath: "/dev/shm") ? "/dev/shm" : "/tmp"
    folder = "\(base)/humanz-\(UUID().uuidString)"
  }

  private func attachment(_ number: Int) -> CNI.Attachment {
    CNI.Attachment(containerID: ContainerID("pod\(number)")!, interface: InterfaceName("eth0")!)
  }

  /// Opens the store again for each step, as each call of the plugin does.
  private func change<Result, Failure>(
    _ body: (inout LeaseStore) throws(Failure) -> Result
  ) throws -> Result {
    var store = try LeaseStore(NetworkName("net")!, in: folder, make: true)!
    return try body(&store)
  }

  @Test(arguments: newSeeds.prefix(20))
  func `adds, requests, releases and collections leave what a plain model has`(
    seed: UInt64
  ) throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    var random = SeededRandom(seed: seed)
    var model = PoolModel(&random)
    while !model.isPossible { model = PoolModel(&random) }
    let pools = try Pools(Keys(model.configuration))
    var held: [Int: [String]] = [:]
    for _ in 0..<120 {
      let number = random.below(25)
      switch random.below(10) {
      case 0..<5: try add(number, pools, &model, &held, seed, [])
      case 5:
        // An address of the first set, which may be free or not.
        let set = model.sets[0]
        let range = set.ranges[random.below(set.ranges.count)]
        let value = range.first + UInt128(random.below(Int(min(range.last - range.first, 30)) + 1))
        try add(number, pools, &model, &held, seed, [IPAddress(set.family, value)])
      case 6..<9:
        try change { (store) throws(SystemError) in try store.release(attachment(number)) }
        model.taken.subtract(held.removeValue(forKey: number) ?? [])
      default:
        let kept = held.keys.filter { _ in !random.once(in: 3) }
        let errors = try change { (store) throws(SystemError) in
          store.freeAll(except: kept.map { attachment($0) })
        }
        #expect(errors.isEmpty)
        for number in held.keys where !kept.contains(number) {
          model.taken.subtract(held.removeValue(forKey: number)!)
        }
      }
      // A change by another program, after which the store reads all its leases.
      if random.once(in: 10) {
        try Data().write(to: URL(fileURLWithPath: "\(folder)/net/192.0.2.\(random.below(200))"))
      }
      if random.once(in: 10) {
        for number in 0..<25 {
          let addresses = try change { (store) throws(SystemError) in
            try store.addresses(of: attachment(number))
          }
          #expect(
            addresses.map { "\($0)" }.sorted() == (held[number] ?? []).sorted(), "seed \(seed)")
        }
      }
    }
    let leased = try change { (store) throws(SystemError) in
      try store.index()
      return try store.leases.leased()
    }
    #expect(Set(leased.map { $0.description }) == model.taken, "seed \(seed)")
  }

  private func add(
    _ number: Int, _ pools: Pools, _ model: inout PoolModel, _ held: inout [Int: [String]],
    _ seed: UInt64, _ requested: [IPAddress]
  ) throws {
    let allocation = Allocation(
      attachment(number), namespace: "/run/netns/pod\(number)", hostInterface: nil,
      pools: pools, requested: requested)
    var given: [String]?
    var refusal: StoreError?
    do {
      given = try change { (store) throws(StoreError) in
        try allocation.make(in: &store, report: { _ in })
      }.map { $0.address.address.description }
    } catch let error as StoreError {
      refusal = error
    }
    guard held[number] == nil else {
      #expect(
        refusal == .holds(attachment(number), held[number]!.map { IPAddress($0)! }), "seed \(seed)")
      return
    }
    let expected = model.allocate(requested.first)
    #expect(given == expected, "seed \(seed)")
    held[number] = expected
  }
}
