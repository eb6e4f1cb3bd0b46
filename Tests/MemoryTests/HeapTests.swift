// SPDX-License-Identifier: Apache-2.0
import CNetlink
import Testing

@testable import Memory

/// A heap, compared with a list of its allocations: address, size and the byte that fills it.
@Suite struct HeapTests {
  /// New seeds in every run. A failure's message names its seed: put it here to repeat the failure.
  static let seeds: [UInt64] = (0..<20).map { _ in .random(in: 0..<1_000_000) }

  @Test(arguments: seeds)
  func `blocks keep their contents and alignment whatever is allocated, resized and released`(
    seed: UInt64
  ) {
    var random = SeededRandom(state: seed)
    var model = Model(seed: seed)
    for _ in 0..<3_000 {
      let size = random.size()
      switch random.below(8) {
      case 0, 1, 2: model.allocate(size, alignment: 16)
      case 3: model.allocate(size, alignment: 1 << random.below(14))
      case 4: model.resize(random.next(), to: size)
      default: model.release(random.next())
      }
    }
    model.checkNoOverlap()
    while !model.blocks.isEmpty { model.release(0) }
  }

  @Test(arguments: [
    (24, 1_000_000), (25, 10_000), (100_000, 10_000), (131_064, 10_000), (131_065, 1_000),
    (5_000_000, 1_000),
  ])
  func `allocations and releases of one size need no more memory than one`(
    size: Int, times: Int
  ) {
    var heap = Heap()
    let first = heap.allocate(size)!
    let mapped = heap.mappedBytes
    heap.release(first)
    for _ in 0..<times {
      let block = heap.allocate(size)!
      block.storeBytes(of: 1, as: UInt8.self)
      heap.release(block)
    }
    #expect(heap.mappedBytes <= mapped)
  }

  @Test
  func `what grows and shrinks for ever holds at most its peak`() {
    var random = SeededRandom(state: 72)
    var heap = Heap()
    var peak = 0
    for round in 0..<60 {
      let blocks = (0..<2_000).map { _ in heap.allocate(random.below(4_000))! }
      for block in blocks.shuffled(using: &random) { heap.release(block) }
      if round == 30 { peak = heap.mappedBytes }
    }
    #expect(heap.mappedBytes == peak)
  }

  @Test
  func `the first mebibyte of blocks takes one request to the kernel`() {
    var heap = Heap()
    for _ in 0..<1_000 { _ = heap.allocate(1_000) }
    #expect(heap.mappedBytes == 1 << 20)
  }

  @Test
  func `what is larger than the class below a block's has a fifth unused at most`() {
    var heap = Heap()
    for size in stride(from: 129, through: 131_064, by: 31) {
      let block = heap.allocate(size)!
      let usable = Heap.usableSize(of: block)
      #expect(usable >= size && usable * 4 <= (size + 8) * 5 + 64, "\(size) got \(usable)")
      heap.release(block)
    }
  }

  @Test(arguments: [Int.max, .max - 16, .max - 4096, .min, -1, 1 << 48])
  func `a size that no machine has is refused`(size: Int) {
    var heap = Heap()
    #expect(heap.allocate(size) == nil)
    #expect(heap.allocate(size, alignment: 4096) == nil)
    let block = heap.allocate(8)!
    block.storeBytes(of: 72, as: Int.self)
    #expect(heap.resize(block, to: size) == nil)
    #expect(block.load(as: Int.self) == 72)
  }
}

private struct Block {
  let address: UnsafeMutableRawPointer
  let size: Int
  let alignment: Int
  let fill: UInt8
}

private struct Model: ~Copyable {
  let seed: UInt64
  var heap = Heap()
  var blocks: [Block] = []
  private var count: UInt8 = 0

  init(seed: UInt64) { self.seed = seed }

  mutating func allocate(_ size: Int, alignment: Int) {
    let address = heap.allocate(size, alignment: alignment)
    add(address!, size, max(16, alignment))
  }

  mutating func resize(_ choice: UInt64, to size: Int) {
    guard let block = take(choice) else { return }
    let address = heap.resize(block.address, to: size)!
    expect(address, min(size, block.size), block.fill)
    add(address, size, 16)
  }

  mutating func release(_ choice: UInt64) {
    guard let block = take(choice) else { return }
    heap.release(block.address)
  }

  func checkNoOverlap() {
    let sorted = blocks.sorted { $0.address < $1.address }
    for (one, next) in zip(sorted, sorted.dropFirst()) {
      #expect(one.address + one.size <= next.address, "seed \(seed)")
    }
  }

  private mutating func add(_ address: UnsafeMutableRawPointer, _ size: Int, _ alignment: Int) {
    count &+= 1
    #expect(Int(bitPattern: address) % alignment == 0, "seed \(seed): \(address), \(alignment)")
    #expect(Heap.usableSize(of: address) >= size, "seed \(seed): \(size)")
    address.initializeMemory(as: UInt8.self, repeating: count, count: size)
    blocks.append(Block(address: address, size: size, alignment: alignment, fill: count))
  }

  private mutating func take(_ choice: UInt64) -> Block? {
    guard !blocks.isEmpty else { return nil }
    let index = Int(choice % UInt64(blocks.count))
    blocks.swapAt(index, blocks.count - 1)
    let block = blocks.removeLast()
    expect(block.address, block.size, block.fill)
    return block
  }

  private func expect(_ address: UnsafeMutableRawPointer, _ size: Int, _ fill: UInt8) {
    let bytes = UnsafeRawBufferPointer(start: address, count: size)
    // All bytes are equal if the first one is right and each equals the one before it.
    let same = size == 0 || bytes[0] == fill && memcmp(address, address + 1, size - 1) == 0
    #expect(same, "seed \(seed): \(size) bytes at \(address)")
  }
}

/// Pseudo-random numbers, the same for the same seed: SplitMix64.
private struct SeededRandom: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
    return mixed ^ mixed >> 31
  }

  mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &self) }

  /// Sizes up to 256 KiB, with small ones as frequent as large ones.
  mutating func size() -> Int { below(1 << below(19)) }
}
