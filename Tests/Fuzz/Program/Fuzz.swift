// SPDX-License-Identifier: Apache-2.0
import CNetlink
import FuzzTargets

/// Of libFuzzer: `LLVMFuzzerRunDriver`, which reads the options and makes up the inputs.
@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
  _ count: UnsafeMutablePointer<CInt>, _ words: UnsafeMutablePointer<Words>,
  _ one: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

private typealias Words = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>

/// The target that FUZZ_TARGET names.
private let target: FuzzTarget? = {
  let name = getenv("FUZZ_TARGET").map { String(cString: $0) }
  return FuzzTarget.all.first { $0.name == name }
}()

/// Reads an input. A violation ends the process, as a trap does.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  do throws(Violation) {
    try target!.run(Array(UnsafeBufferPointer(start: start, count: count)))
  } catch {
    fatalError("\(target!.name): \(error)")
  }
  return 0
}

/// The program's start, by the name that the package manager gives it: libFuzzer has a `main` of its own.
/// Without a target the names of all are printed.
@_cdecl("Fuzz_main")
public func start(
  _ count: CInt, _ words: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
) -> CInt {
  guard target != nil else {
    for target in FuzzTarget.all { print(target.name) }
    return getenv("FUZZ_TARGET") == nil ? 0 : 2
  }
  var (count, words) = (count, words)
  return runDriver(&count, &words, fuzzOneInput)
}
