// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import Embedded
import System

/// Where the IPAM plugin of a network keeps its leases, as far as other stages need it: one file for each
/// address, as host-local and humanz-ipam do.
public struct LeaseFolder {
  /// The default of humanz-ipam. It is on tmpfs, so a reboot frees the leases.
  public static let ours = "/run/humanz/ipam"
  /// The default of host-local.
  public static let hostLocals = "/var/lib/cni/networks"

  private let path: String

  /// The folder that an `ipam` section names, or the default of its plugin; humanz-ipam's own if the
  /// configuration has no such section.
  public init(_ configuration: NetworkConfiguration) {
    let ipam = try? configuration.keys.keys("ipam")
    let type = (try? ipam?.string("type")) ?? ""
    path =
      (try? ipam?.string("dataDir"))
      ?? (type == "host-local" ? LeaseFolder.hostLocals : LeaseFolder.ours)
  }

  /// Whether an attachment holds an address. What cannot be read counts as no.
  @inline(never)
  func leases(_ address: IPAddress, to attachment: Attachment, on network: NetworkName) -> Bool {
    guard let folder = try? Directory(network.description, in: path, make: false),
      let text = try? folder.read(address.description)
    else { return false }
    return text == Array("\(attachment.containerID)\r\n\(attachment.interface)".utf8)
  }
}
