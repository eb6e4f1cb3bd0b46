// swift-tools-version: 6.1

import PackageDescription

// One package, two builds. `swift build -c release` makes the programs in Embedded Swift (about 0.4 MB
// each). A debug build, and so `swift test`, compiles the same sources as ordinary Swift. With
// HUMANZ_EMBEDDED=0 the release build is ordinary Swift too: for a toolchain without the embedded
// standard library for its triple.
let embedded = Context.environment["HUMANZ_EMBEDDED"] != "0"

let sources: [SwiftSetting] =
  embedded
  ? [
    .enableExperimentalFeature("Embedded", .when(configuration: .release)),
    .unsafeFlags(
      [
        "-wmo", "-Osize", "-Xfrontend", "-function-sections",
        // The pass makes constant arrays weak symbols, named by a function and a number. Each module
        // with a copy of the function numbers them in its own order, and the linker keeps one array for
        // all modules: constants were exchanged (Swift 6.3.1).
        "-Xllvm", "-sil-disable-pass=object-outliner",
      ], .when(configuration: .release)),
  ] : []

// One section a function lets the linker drop what no verb reaches: half of a program's size.
let executables: [LinkerSetting] =
  embedded
  ? [
    .unsafeFlags(
      [
        "-enable-experimental-feature", "Embedded", "-use-ld=lld", "-Xlinker", "--gc-sections",
        "-Xlinker", "--icf=all", "-Xlinker", "--as-needed", "-Xlinker", "-s",
      ], .when(configuration: .release))
  ] : []

/// A library that the programs are made of.
func module(_ name: String, _ dependencies: Target.Dependency...) -> Target {
  .target(name: name, dependencies: dependencies + ["CNetlink"], swiftSettings: sources)
}

/// A program: a stage of the chain, or the tool for people.
func program(_ name: String, _ dependencies: Target.Dependency...) -> Target {
  .executableTarget(
    name: name, dependencies: dependencies + ["CNetlink"],
    exclude: name.hasPrefix("humanz-") ? ["README.md"] : [], swiftSettings: sources,
    linkerSettings: executables)
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
    .systemLibrary(name: "CNetlink", pkgConfig: "libmnl", providers: [.apt(["libmnl-dev"])]),
    module("Embedded"),
    module("System", "Embedded"),
    module("Addresses", "Embedded"),
    module("Netlink", "Embedded", "System", "Addresses"),
    module("Netfilter", "Embedded", "System", "Addresses", "Netlink"),
    module("CNI", "Embedded", "System", "Addresses"),
    module("Node", "Embedded", "System", "Addresses", "CNI", "Netlink", "Netfilter"),
    module("Leases", "Embedded", "System", "Addresses", "CNI", "Node"),
    module("Routes", "Embedded", "System", "Addresses", "CNI", "Netlink", "Netfilter", "Node"),
    program(
      "humanz-bridge", "Embedded", "System", "Addresses", "CNI", "Netlink", "Netfilter", "Node"),
    program(
      "humanz-ipam", "Embedded", "System", "Addresses", "CNI", "Netlink", "Node", "Leases", "Routes"
    ),
    program(
      "humanz-route", "Embedded", "System", "Addresses", "CNI", "Netlink", "Node", "Routes"),
    program(
      "humanz", "Embedded", "System", "Addresses", "CNI", "Netlink", "Netfilter", "Node", "Leases",
      "Routes"),
    .testTarget(name: "CNITests", dependencies: ["CNI"]),
    .testTarget(name: "NetlinkTests", dependencies: ["Netlink", "Netfilter", "CNI", "CNetlink"]),
    .testTarget(name: "BridgeTests", dependencies: ["humanz-bridge", "Netlink", "CNI"]),
    .testTarget(name: "IPAMTests", dependencies: ["humanz-ipam", "CNI"]),
    .testTarget(name: "RouteTests", dependencies: ["humanz-route", "Routes", "CNI"]),
  ]
)
