// SPDX-License-Identifier: Apache-2.0
import Addresses
import Netlink

/// Tests write a link's index as a number.
extension LinkIndex: ExpressibleByIntegerLiteral {
  public init(integerLiteral value: Int32) { self.init(value) }
}

// Shorthands for the tests' literals; an invalid one traps.
package func name(_ text: String) -> InterfaceName { InterfaceName(text)! }
package func mac(_ text: String) -> MACAddress { MACAddress(text)! }
package func address(_ text: String) -> IPAddress { IPAddress(text)! }
package func prefix(_ text: String) -> IPPrefix { IPPrefix(text)! }
