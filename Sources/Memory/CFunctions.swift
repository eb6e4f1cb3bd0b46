// SPDX-License-Identifier: Apache-2.0
// The C library's functions for memory, on one heap. In a program that is linked statically they take the
// place of musl's: Package.swift defines `malloc` as `humanz_malloc`, and so on. What each does is said in
// malloc(3) and posix_memalign(3).
#if HUMANZ_STATIC
  import CNetlink

  nonisolated(unsafe) private var heap = Heap()

  private func orNoMemory(_ block: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    if block == nil { humanz_set_errno(ENOMEM) }
    return block
  }

  @_cdecl("humanz_malloc")
  public func allocate(_ size: Int) -> UnsafeMutableRawPointer? {
    orNoMemory(heap.allocate(size))
  }

  @_cdecl("humanz_calloc")
  public func allocateZeroed(_ count: Int, _ size: Int) -> UnsafeMutableRawPointer? {
    let (bytes, overflow) = count.multipliedReportingOverflow(by: size)
    let block = heap.allocate(overflow ? .max : bytes)
    if let block { memset(block, 0, bytes) }
    return orNoMemory(block)
  }

  @_cdecl("humanz_realloc")
  public func resize(_ pointer: UnsafeMutableRawPointer?, _ size: Int) -> UnsafeMutableRawPointer? {
    guard let pointer else { return orNoMemory(heap.allocate(size)) }
    return orNoMemory(heap.resize(pointer, to: size))
  }

  @_cdecl("humanz_free")
  public func release(_ pointer: UnsafeMutableRawPointer?) {
    if let pointer { heap.release(pointer) }
  }

  @_cdecl("humanz_posix_memalign")
  public func allocateAligned(
    _ pointer: UnsafeMutablePointer<UnsafeMutableRawPointer?>, _ alignment: Int, _ size: Int
  ) -> Int32 {
    guard let block = heap.allocate(size, alignment: alignment) else { return ENOMEM }
    pointer.pointee = block
    return 0
  }

  @_cdecl("humanz_aligned_alloc")
  public func allocateAligned(_ alignment: Int, _ size: Int) -> UnsafeMutableRawPointer? {
    orNoMemory(heap.allocate(size, alignment: alignment))
  }

  @_cdecl("humanz_memalign")
  public func allocateAlignedFormerly(_ alignment: Int, _ size: Int) -> UnsafeMutableRawPointer? {
    orNoMemory(heap.allocate(size, alignment: alignment))
  }

  @_cdecl("humanz_malloc_usable_size")
  public func usableSize(_ pointer: UnsafeMutableRawPointer?) -> Int {
    pointer.map { Heap.usableSize(of: $0) } ?? 0
  }
#endif
