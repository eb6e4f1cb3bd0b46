// swift-tools-version: 6.1

import PackageDescription

// One package, two builds. `swift build -c release` makes the plugins in Embedded Swift (about
// 0.4 MB each, needing libc and libmnl); a debug build, and so `swift test`, compiles the same
// sources as ordinary Swift. With HUMANZ_EMBEDDED=0 the release build is ordinary Swift too: for a
// toolchain without the embedded standard library for its triple.
let embedded = Context.environment["HUMANZ_EMBEDDED"] != "0"

let sources: [SwiftSetting] =
  embedded
  ? [
    .enableExperimentalFeature("Embedded", .when(configuration: .release)),
    .unsafeFlags(
      [
        "-wmo", "-Osize", "-Xfrontend", "-function-sections",
        // The pass makes constant arrays weak symbols, named by a function and a number. Each module that
        // has a copy of the function counts in an order of its own, and the linker keeps one array
        // for all of them: constants were exchanged (Swift 6.3.1).
        "-Xllvm", "-sil-disable-pass=object-outliner",
      ], .when(configuration: .release)),
  ] : []

// A function a section lets the linker drop what no verb reaches: half of a plugin's size.
let executables: [LinkerSetting] =
  embedded
  ? [
    .unsafeFlags(
      [
        "-enable-experimental-feature", "Embedded", "-use-ld=lld", "-Xlinker", "--gc-sections",
        "-Xlinker", "--icf=all", "-Xlinker", "--as-needed", "-Xlinker", "-s",
      ], .when(configuration: .release))
  ] : []

/// A library that the plugins are made of.
func module(_ name: String, _ dependencies: Target.Dependency...) -> Target {
  .target(name: name, dependencies: dependencies + ["CNetlink"], swiftSettings: sources)
}

/// A program: a stage of the chain, or the small runtime.
func program(_ name: String, _ dependencies: Target.Dependency...) -> Target {
  .executableTarget(
    name: name, dependencies: dependencies + ["CNetlink"],
    exclude: name.hasPrefix("humanz-") ? ["README.md"] : [], swiftSettings: sources,
    linkerSettings: executables)
}

let package = Package(
  name: "humanz",
  targets: [
    .systemLibrary(name: "CNetlink", pkgConfig: "libmnl", providers: [.apt(["libmnl-dev"])]),
    module("EmbeddedUnicode"),
    module("CNI", "EmbeddedUnicode"),
    module("Netlink", "CNI"),
    module("Netfilter", "CNI", "Netlink"),
    module("Stage", "CNI", "Netlink", "Netfilter"),
    program("humanz-bridge", "CNI", "Netlink", "Netfilter", "Stage"),
    program("humanz-ipam", "CNI", "Netlink", "Stage"),
    program("humanz-route", "CNI", "Netlink", "Netfilter", "Stage"),
    program("cni-run", "CNI"),
    .testTarget(name: "CNITests", dependencies: ["CNI"]),
    .testTarget(name: "NetlinkTests", dependencies: ["Netlink", "Netfilter", "CNI", "CNetlink"]),
    .testTarget(name: "BridgeTests", dependencies: ["humanz-bridge", "Netlink", "CNI"]),
    .testTarget(name: "IPAMTests", dependencies: ["humanz-ipam", "CNI"]),
    .testTarget(name: "RouteTests", dependencies: ["humanz-route", "Stage", "CNI"]),
  ]
)
