// SPDX-License-Identifier: Apache-2.0
// The C library's functions for memory, on one heap. In a program that is linked statically they take the
// place of musl's: Package.swift defines `malloc` as `humanz_malloc`, and so on. See malloc(3) and
// posix_memalign(3).
#if HUMANZ_STATIC
  import CNetlink

  nonisolated(unsafe) private var heap = Heap()

  /// Swift cannot continue without memory and would end the process by a signal. This ends it with a CNI error,
  /// for which it allocates nothing. What a verb has made by then is left to the runtime's DEL. A call with an
  /// ordinary configuration asks the kernel for no memory.
  private func orEnd(_ block: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer {
    if let block { return block }
    endWithoutMemory()
  }

  @inline(never)
  private func endWithoutMemory() -> Never {
    let answer: StaticString =
      "{\"cniVersion\":\"1.1.0\",\"code\":11,\"msg\":\"cannot get memory: Out of memory\"}\n"
    let stream = getenv("CNI_COMMAND") == nil ? STDERR_FILENO : STDOUT_FILENO
    _ = write(stream, answer.utf8Start, answer.utf8CodeUnitCount)
    _exit(1)
  }

  @_cdecl("humanz_malloc")
  public func allocate(_ size: Int) -> UnsafeMutableRawPointer? {
    orEnd(heap.allocate(size))
  }

  @_cdecl("humanz_calloc")
  public func allocateZeroed(_ count: Int, _ size: Int) -> UnsafeMutableRawPointer? {
    let (bytes, overflow) = UInt(bitPattern: count)
      .multipliedReportingOverflow(by: UInt(bitPattern: size))
    let block = heap.allocate(overflow ? .max : Int(bitPattern: bytes))
    return memset(orEnd(block), 0, Int(bitPattern: bytes))
  }

  @_cdecl("humanz_realloc")
  public func resize(_ pointer: UnsafeMutableRawPointer?, _ size: Int) -> UnsafeMutableRawPointer? {
    guard let pointer else { return orEnd(heap.allocate(size)) }
    return orEnd(heap.resize(pointer, to: size))
  }

  @_cdecl("humanz_free")
  public func release(_ pointer: UnsafeMutableRawPointer?) {
    if let pointer { heap.release(pointer) }
  }

  @_cdecl("humanz_posix_memalign")
  public func allocateAligned(
    _ pointer: UnsafeMutablePointer<UnsafeMutableRawPointer?>, _ alignment: Int, _ size: Int
  ) -> Int32 {
    pointer.pointee = orEnd(heap.allocate(size, alignment: alignment))
    return 0
  }

  @_cdecl("humanz_aligned_alloc")
  public func allocateAligned(_ alignment: Int, _ size: Int) -> UnsafeMutableRawPointer? {
    orEnd(heap.allocate(size, alignment: alignment))
  }

  @_cdecl("humanz_memalign")
  public func allocateAlignedObsolete(_ alignment: Int, _ size: Int) -> UnsafeMutableRawPointer? {
    orEnd(heap.allocate(size, alignment: alignment))
  }

  @_cdecl("humanz_malloc_usable_size")
  public func usableSize(_ pointer: UnsafeMutableRawPointer?) -> Int {
    pointer.map { Heap.usableSize(of: $0) } ?? 0
  }
#endif
