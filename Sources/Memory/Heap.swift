// SPDX-License-Identifier: Apache-2.0
import CNetlink

/// A heap for a short plugin call, which needs no memory from the kernel, and for a process that runs for years.
///
/// It cuts blocks off chunks of 1 MiB, whose pages cost nothing before they are written: the first one is a part
/// of the static program, the others come from the kernel. It keeps a freed block for the next request of its
/// size class. There are four classes in each power of two: above 128 bytes, at most a fifth of a block
/// is unused. Free blocks are neither split nor joined, so a process holds at most the sum of what each class
/// needed at its peak, and the unused ends of its chunks. A block above 128 KiB is a mapping
/// of its own, which the kernel gets back.
///
/// A heap serves one thread, and no program here has two.
struct Heap: ~Copyable {
  /// Bytes of address space that the heap has mapped now.
  private(set) var mappedBytes = 0
  /// The unused part of the newest chunk. Its address is 8 more than a multiple of 16.
  private var rest = UnsafeMutableRawPointer(bitPattern: 0)
  private var restBytes = 0
  /// The first free block of each size class, whose first word is the address of the next one. The array
  /// stands at the start of the first chunk, so that a global heap is a constant.
  private var freeBlocks: UnsafeMutablePointer<UnsafeMutableRawPointer?>?
  private static let sizeClasses = 48

  /// Every block is aligned to this, and its size is a multiple of it.
  static let alignment = 16
  private static let chunkBytes = 1 << 20
  private static let largestBlock = 128 << 10
  /// Before each block stands one word: the block's size, the word included. A block with another alignment
  /// lies inside a larger block: there the word is the distance from that block's start, plus 1.
  private static let headerBytes = 8

  /// Returns a block of at least `size` bytes, or nil if the kernel has no more memory. (A negative size is
  /// a C program's size beyond 8 EiB.)
  mutating func allocate(_ size: Int) -> UnsafeMutableRawPointer? {
    guard 0...(Self.largestBlock - Self.headerBytes) ~= size else { return map(size) }
    let sizeClass = Self.sizeClass(of: size)
    if let freeBlocks, let block = freeBlocks[sizeClass] {
      freeBlocks[sizeClass] = block.load(as: UnsafeMutableRawPointer?.self)
      return block
    }
    return cut(Self.blockSize(of: sizeClass))
  }

  /// Returns a block whose address is a multiple of `alignment`, a power of two.
  mutating func allocate(_ size: Int, alignment: Int) -> UnsafeMutableRawPointer? {
    guard alignment > Self.alignment else { return allocate(size) }
    let (sum, overflow) = size.addingReportingOverflow(alignment)
    guard let block = allocate(overflow || size < 0 ? .max : sum) else { return nil }
    let distance = -Int(bitPattern: block) & (alignment - 1)
    guard distance > 0 else { return block }
    (block + distance).setHeader(distance | 1)
    return block + distance
  }

  /// Takes back a block that `allocate` or `resize` returned.
  mutating func release(_ pointer: UnsafeMutableRawPointer) {
    let block = pointer.wholeBlock
    let size = block.header
    guard size <= Self.largestBlock else { return unmap(block) }
    let sizeClass = Self.sizeClass(of: size - Self.headerBytes)
    block.storeBytes(of: freeBlocks![sizeClass], as: UnsafeMutableRawPointer?.self)
    freeBlocks![sizeClass] = block
  }

  /// Returns a block of at least `size` bytes with the contents of `pointer`: `pointer` itself, or a new block,
  /// and then `pointer` is released. On nil, `pointer` stays as it is.
  mutating func resize(_ pointer: UnsafeMutableRawPointer, to size: Int) -> UnsafeMutableRawPointer?
  {
    let usable = Self.usableSize(of: pointer)
    // A block that is half empty is worth a copy.
    if size <= usable && size >= usable / 2 { return pointer }
    guard let new = allocate(size) else { return nil }
    new.copyMemory(from: pointer, byteCount: min(size, usable))
    release(pointer)
    return new
  }

  /// How many bytes the block has room for.
  static func usableSize(of pointer: UnsafeMutableRawPointer) -> Int {
    let block = pointer.wholeBlock
    return block.header - headerBytes - (pointer - block)
  }
}

// MARK: - Size classes

extension Heap {
  /// Classes 0 to 7 are 16 to 128 bytes. From there, four classes double the size.
  private static func sizeClass(of size: Int) -> Int {
    let last = (size + headerBytes - 1) / alignment
    let doubling = max(0, Int.bitWidth - 3 - last.leadingZeroBitCount)
    return doubling * 4 + last >> doubling
  }

  private static func blockSize(of sizeClass: Int) -> Int {
    let units = sizeClass < 8 ? sizeClass + 1 : (sizeClass % 4 + 5) << (sizeClass / 4 - 1)
    return units * alignment
  }
}

// MARK: - Memory from the kernel

extension Heap {
  private mutating func cut(_ size: Int) -> UnsafeMutableRawPointer? {
    if restBytes < size {
      let isFirst = freeBlocks == nil
      guard let chunk = isFirst ? firstChunk() : kernelMap(Self.chunkBytes) else { return nil }
      rest = chunk + Self.headerBytes
      restBytes = Self.chunkBytes - Self.headerBytes
      if isFirst {
        // The kernel's memory is zero, and so each list empty.
        freeBlocks = chunk.assumingMemoryBound(to: UnsafeMutableRawPointer?.self)
        rest! += Self.sizeClasses * Self.headerBytes
        restBytes -= Self.sizeClasses * Self.headerBytes
      }
    }
    let block = rest! + Self.headerBytes
    block.setHeader(size)
    rest! += size
    restBytes -= size
    return block
  }

  private mutating func firstChunk() -> UnsafeMutableRawPointer? {
    #if HUMANZ_STATIC
      return humanz_first_chunk()
    #else
      return kernelMap(Self.chunkBytes)
    #endif
  }

  private mutating func map(_ size: Int) -> UnsafeMutableRawPointer? {
    let page = 4096
    let (sum, overflow) = size.addingReportingOverflow(2 * Self.headerBytes + page - 1)
    guard size >= 0, !overflow, let mapping = kernelMap(sum & -page) else { return nil }
    let block = mapping + 2 * Self.headerBytes
    block.setHeader((sum & -page) - Self.headerBytes)
    return block
  }

  private mutating func unmap(_ block: UnsafeMutableRawPointer) {
    let size = block.header + Self.headerBytes
    munmap(block - 2 * Self.headerBytes, size)
    mappedBytes -= size
  }

  /// The corresponding C function is `mmap`.
  private mutating func kernelMap(_ size: Int) -> UnsafeMutableRawPointer? {
    let mapping = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let mapping, Int(bitPattern: mapping) != -1 else { return nil }
    mappedBytes += size
    return mapping
  }
}

extension UnsafeMutableRawPointer {
  fileprivate var header: Int { (self - 8).load(as: Int.self) }

  fileprivate func setHeader(_ value: Int) { (self - 8).storeBytes(of: value, as: Int.self) }

  /// The block that this pointer to its contents lies in.
  fileprivate var wholeBlock: UnsafeMutableRawPointer {
    let value = header
    return value & 1 == 0 ? self : self - (value - 1)
  }
}
