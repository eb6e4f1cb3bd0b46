// swift-tools-version: 6.1
// SPDX-License-Identifier: Apache-2.0

import PackageDescription

// A stage in a package of its own: `HUMANZ_EMBEDDED=0 swift build -c release`. A package that is elsewhere
// names the suite by its address and version instead of its path.
let package = Package(
  name: "fourth-stage",
  dependencies: [.package(name: "humanz", path: "../..")],
  targets: [
    .executableTarget(
      name: "deny",
      dependencies: ["CNI", "Netlink", "Node"].map { .product(name: $0, package: "humanz") })
  ]
)
