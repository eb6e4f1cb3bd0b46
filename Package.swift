// swift-tools-version: 6.1
// SPDX-License-Identifier: Apache-2.0

import PackageDescription

// With HUMANZ_FUZZ there is the program `Fuzz` of the fuzz targets: libFuzzer around the parsers, as
// ordinary Swift with its checks. `make fuzz` sets it. AddressSanitizer watches the modules that read through
// pointers; in the others Swift's own checks do, which cost less.
let fuzzed = Context.environment["HUMANZ_FUZZ"] != nil
let withPointers = ["Embedded", "Netlink", "Netfilter", "FuzzTargets"]

/// What compiles a module for libFuzzer.
func fuzzing(_ module: String) -> [SwiftSetting] {
  [
    .unsafeFlags([
      withPointers.contains(module) ? "-sanitize=fuzzer,address" : "-sanitize=fuzzer",
      "-enable-testing",
    ])
  ]
}

// One package, two builds. `swift build -c release` makes the programs in Embedded Swift (about 0.4 MB
// each). A debug build, and so `swift test`, compiles the same sources as ordinary Swift. With
// HUMANZ_EMBEDDED=0 the release build is ordinary Swift too: for a toolchain without the embedded
// standard library for its triple.
let embedded = Context.environment["HUMANZ_EMBEDDED"] != "0" && !fuzzed

// With HUMANZ_STATIC_LIBRARIES (the folder that Scripts/static-libraries makes), the release build is linked
// statically with musl and libmnl. The Makefile sets it, and names the triple that goes with it: one without
// an operating system, because the toolchain has no embedded standard library for Linux with musl.
let staticLibraries = embedded ? Context.environment["HUMANZ_STATIC_LIBRARIES"] : nil

var staticSources: [String] = []
var staticLinking: [String] = []
if let staticLibraries {
  let headers = [staticLibraries + "/musl", staticLibraries + "/include"]
  let clang =
    ["-D__linux__=1", "-DHUMANZ_STATIC=1", "-nostdlibinc"] + headers.flatMap { ["-isystem", $0] }
  staticSources = ["-DHUMANZ_STATIC"] + clang.flatMap { ["-Xcc", $0] }

  let libraries = ["crt1.o", "crti.o", "libmnl.a", "libc.a", "libgcc.a", "crtn.o"]
  // The module Memory has these, under names that the compiler does not reserve. The C library itself
  // calls some by the second name.
  let replaced =
    ["malloc", "calloc", "realloc", "free"].flatMap {
      ["\($0)=humanz_\($0)", "__libc_\($0)=humanz_\($0)"]
    }
    + ["posix_memalign", "aligned_alloc", "memalign", "malloc_usable_size"].map {
      "\($0)=humanz_\($0)"
    }
  // Debian's libmnl refers to this function of glibc in `mnl_nlmsg_fprintf`, which nobody calls.
  let missing = ["__fprintf_chk=abort"]
  // What the standard library does with strings of Objective-C and with indices into UTF-16. Neither can be
  // made here, and what these functions reach is 9 KB of a program. (Swift 6.3's names.)
  let unreached = [
    "SS8UTF8ViewV13_foreignIndex5afterSS0D0VAF_tF",
    "SS8UTF8ViewV13_foreignIndex6beforeSS0D0VAF_tF",
    "SS8UTF8ViewV13_foreignIndex_8offsetBySS0D0VAF_SitF",
    "SS8UTF8ViewV17_foreignSubscript8positions5UInt8VSS5IndexV_tF",
    "SS8UTF8ViewV13_foreignCountSiyF",
    "SS8UTF8ViewV16_foreignDistance4from2toSiSS5IndexV_AGtF",
    "SS16_slowUTF8CStrings15ContiguousArrayVys4Int8VGyF",
    "s11_StringGutsV16_foreignCopyUTF84intoSiSgSrys5UInt8VG_tF",
    "s11_StringGutsV12_foreignGrow33_408A76AB043BD3EFBAB6FAAAAA9B4914LLyySiF",
    "s11_StringGutsV21_foreignAppendInPlace33_408A76AB043BD3EFBAB6FAAAAA9B4914LLyys01_aB5SliceVF",
    "s11_StringGutsV24_foreignConvertedToSmall33_408A76AB043BD3EFBAB6FAAAAA9B4914LLs01_fA0VyF",
    "s11_StringGutsV18foreignScalarAlignySS5IndexVAEF",
    "s11_StringGutsV27_slowEnsureMatchingEncodingySS5IndexVAEF",
  ].map { "$e\($0)=abort" }
  let linker =
    libraries.map { staticLibraries + "/lib/" + $0 }
    + (replaced + missing + unreached).map { "--defsym=" + $0 }
  // Two segments instead of four save two mappings and three page faults at each start. (musl protects no
  // relocated data in such a program: there is none.)
  let segments = [
    "-z", "norelro", "--no-rosegment",
    Context.packageDirectory + "/Scripts/static-layout.ld",
  ]
  staticLinking =
    ["-nostdlib", "-static"].flatMap { ["-Xclang-linker", $0] }
    + (linker + segments).flatMap { ["-Xlinker", $0] }
}

let sources: [SwiftSetting] =
  embedded
  ? [
    .enableExperimentalFeature("Embedded", .when(configuration: .release)),
    .unsafeFlags(
      [
        "-wmo", "-Osize", "-Xfrontend", "-function-sections",
        // Without the hashes by which a later build knows what it may keep: they depend on the tree's path.
        "-Xfrontend", "-disable-incremental-llvm-codegen",
        // The pass makes constant arrays weak symbols, named by a function and a number. Each module
        // with a copy of the function numbers them in its own order, and the linker keeps one array for
        // all modules: constants were exchanged (Swift 6.3.1).
        "-Xllvm", "-sil-disable-pass=object-outliner",
        // A copy of a function for each closure that it is called with: 10 KB of humanz, and nothing faster.
        "-Xllvm", "-sil-disable-pass=closure-specialize",
        // The start of each message with a value in it: a call instead of 45 bytes.
        "-Xllvm", "-sil-inline-never-functions=DefaultStringInterpolationV15literalCapacity",
      ] + staticSources, .when(configuration: .release)),
  ] : []

// One section per function lets the linker drop what no verb reaches: half of a program's size.
let executables: [LinkerSetting] =
  embedded
  ? [
    .unsafeFlags(
      [
        "-enable-experimental-feature", "Embedded", "-use-ld=lld", "-Xlinker", "--gc-sections",
        "-Xlinker", "--icf=all", "-Xlinker", "--as-needed", "-Xlinker", "-s",
      ] + staticLinking, .when(configuration: .release))
  ] : []

/// A library that the programs are made of.
func module(_ name: String, _ dependencies: Target.Dependency...) -> Target {
  .target(
    name: name, dependencies: dependencies + ["CNetlink"],
    swiftSettings: fuzzed ? fuzzing(name) : sources)
}

/// A program: a stage of the chain, or the tool for people.
func program(_ name: String, _ dependencies: Target.Dependency...) -> Target {
  let dependencies = dependencies + ["CNetlink", "Memory"]
  let documents = name.hasPrefix("humanz-") ? ["README.md"] : []
  // A program cannot be part of another one: without what starts it, it is a library.
  return fuzzed
    ? .target(
      name: name, dependencies: dependencies, exclude: documents + ["main.swift"],
      swiftSettings: fuzzing(name))
    : .executableTarget(
      name: name, dependencies: dependencies, exclude: documents, swiftSettings: sources,
      linkerSettings: executables)
}

// The tables of the unit tests run in both builds: `swift test` has them, and with HUMANZ_TABLES they are
// a program of the release build, made of the very modules that the other programs are made of.
let tableDependencies: [Target.Dependency] = [
  "CNetlink", "Embedded", "System", "Addresses", "CNI", "Netlink", "Node",
]
let tables: [Target] =
  Context.environment["HUMANZ_TABLES"] == nil
  ? [.testTarget(name: "Tables", dependencies: tableDependencies)]
  : [
    .target(
      name: "Tables", dependencies: tableDependencies, path: "Tests/Tables", swiftSettings: sources),
    .executableTarget(
      name: "EmbeddedTables", dependencies: ["CNetlink", "Embedded", "System", "Tables", "Memory"],
      path: "Tests/EmbeddedTables", swiftSettings: sources, linkerSettings: executables),
  ]

// The fuzz targets: `swift test` runs them with the inputs in the tree, and `make fuzz` with new ones.
let fuzzDependencies: [Target.Dependency] = [
  "CNetlink", "Embedded", "System", "Addresses", "Netlink", "Netfilter", "CNI", "Node", "Leases",
  "Routes", "humanz-bridge", "humanz-ipam", "humanz-route", "humanz",
]
let fuzzTargets: [Target] =
  fuzzed
  ? [
    .target(
      name: "FuzzTargets", dependencies: fuzzDependencies, path: "Tests/Fuzz/Targets",
      exclude: ["ReplayTests.swift"], swiftSettings: fuzzing("FuzzTargets")),
    .executableTarget(
      name: "Fuzz", dependencies: ["CNetlink", "FuzzTargets"], path: "Tests/Fuzz/Program",
      swiftSettings: [.unsafeFlags(["-sanitize=fuzzer,address", "-parse-as-library"])],
      // The program's start takes the place of libFuzzer's `main`, which gold refuses.
      linkerSettings: [.unsafeFlags(["-sanitize=fuzzer,address", "-use-ld=lld"])]),
  ]
  : [
    .testTarget(
      name: "FuzzTargets", dependencies: fuzzDependencies, path: "Tests/Fuzz/Targets")
  ]

/// The unit tests of a module.
func tests(_ name: String, _ dependencies: Target.Dependency...) -> Target {
  .testTarget(name: name, dependencies: dependencies)
}

let package = Package(
  name: "humanz",
  products: [
    .library(name: "CNI", targets: ["CNI"]),
    .library(name: "Netlink", targets: ["Netlink"]),
    .library(name: "Netfilter", targets: ["Netfilter"]),
    .library(name: "Node", targets: ["Node"]),
  ],
  targets: [
    .systemLibrary(
      name: "CNetlink", pkgConfig: staticLibraries == nil ? "libmnl" : nil,
      providers: [.apt(["libmnl-dev"])]),
    module("Memory"),
    module("Embedded"),
    module("System", "Embedded"),
    module("Addresses", "Embedded"),
    module("Netlink", "Embedded", "System", "Addresses"),
    module("Netfilter", "Embedded", "System", "Addresses", "Netlink"),
    module("CNI", "Embedded", "System", "Addresses"),
    module("Node", "Embedded", "System", "Addresses", "CNI", "Netlink", "Netfilter"),
    module("Leases", "Embedded", "System", "Addresses", "CNI", "Node"),
    module("Routes", "Embedded", "System", "Addresses", "CNI", "Netlink", "Netfilter", "Node"),
    module("Stages", "CNI"),
    program(
      "humanz-bridge", "Embedded", "System", "Addresses", "CNI", "Netlink", "Netfilter", "Node",
      "Stages"),
    program(
      "humanz-ipam", "Embedded", "System", "Addresses", "CNI", "Netlink", "Node", "Leases",
      "Routes", "Stages"),
    program(
      "humanz-route", "Embedded", "System", "Addresses", "CNI", "Netlink", "Node", "Routes",
      "Stages"),
    program(
      "humanz", "Embedded", "System", "Addresses", "CNI", "Netlink", "Netfilter", "Node", "Leases",
      "Routes", "Stages"),
    tests("TestSupport", "Addresses", "CNI", "Netlink", "Node", "CNetlink", "Tables"),
    tests("MemoryTests", "Memory", "CNetlink"),
    tests("EmbeddedTests", "Embedded"),
    tests("SystemTests", "System", "CNetlink", "Tables"),
    tests("AddressesTests", "Addresses", "Tables", "TestSupport"),
    tests("NetlinkTests", "Netlink", "System", "Addresses", "CNetlink", "Tables", "TestSupport"),
    tests(
      "NetfilterTests", "Netfilter", "Netlink", "System", "Addresses", "CNetlink", "Tables",
      "TestSupport"),
    tests("CNITests", "CNI", "System", "Addresses", "CNetlink", "Tables", "TestSupport"),
    tests(
      "NodeTests", "Node", "CNI", "Netlink", "Netfilter", "Addresses", "CNetlink", "Tables",
      "TestSupport"),
    tests("LeasesTests", "Leases", "CNI", "System", "Addresses", "TestSupport"),
    tests("RoutesTests", "Routes", "Node", "CNI", "Netlink", "Addresses", "Tables", "TestSupport"),
    tests("BridgeTests", "humanz-bridge", "Netlink", "CNI", "Node", "Tables", "TestSupport"),
    tests("HumanzTests", "humanz", "Routes", "CNI", "Addresses"),
  ] + tables + fuzzTargets
)
