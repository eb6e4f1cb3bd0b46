// SPDX-License-Identifier: Apache-2.0
import Addresses
import CNI
import CNetlink
import Embedded
import Netlink

extension Pod {
  /// Announces a pod's addresses on its segment, so that an address that another pod has just freed works at
  /// once. If this fails, neighbours find the new MAC address later by asking.
  ///
  /// With `arp_notify` and `ndisc_notify` the kernel announces a link's addresses when its MAC address is set,
  /// also to the same value. (A packet socket would do too, but the kernel takes 10 ms to close one.)
  /// Equivalent to: `arping -c 1 -U -I INTERFACE ADDRESS`; for IPv6 `ndsend ADDRESS INTERFACE`.
  /// - Parameter port: the node's end of the pair, if that is known.
  public borrowing func announce(
    _ addresses: [ResultIP], on interface: Link, port: InterfaceName?, of node: borrowing Node
  ) {
    guard let mac = interface.mac else { return }
    // The link sends nothing, and the bridge passes on nothing, until the kernel has noticed the
    // carrier: within a millisecond. A bridge gets its own from its first port.
    kernel.waitForCarrier(of: interface.name)
    if let port, let bridge = node.kernel.waitForCarrier(of: port)?.master,
      let bridge = try? node.kernel.link(at: bridge)
    {
      node.kernel.waitForCarrier(of: bridge.name)
    }
    let reference = LinkReference.index(interface.index)
    try? kernel.perform([
      .changeLink(reference, LinkChange(announces: true)),
      .changeLink(reference, LinkChange(mac: mac)),
    ])
  }
}

extension Kernel {
  /// - Returns: the link; nil if it has no carrier in 25 ms.
  @discardableResult
  fileprivate borrowing func waitForCarrier(of name: InterfaceName) -> Link? {
    for _ in 0..<250 {
      guard let link = try? link(name) else { return nil }
      if link.isRunning { return link }
      usleep(100)
    }
    return nil
  }
}
