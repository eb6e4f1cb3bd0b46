// SPDX-License-Identifier: Apache-2.0
import Addresses
import Netlink

/// A link's index in a test is a number.
extension LinkIndex: ExpressibleByIntegerLiteral {
  public init(integerLiteral value: Int32) { self.init(value) }
}

// Shorthands that make the tests' literals short; a wrong one ends the run.
package func name(_ text: String) -> InterfaceName { InterfaceName(text)! }
package func mac(_ text: String) -> MACAddress { MACAddress(text)! }
package func address(_ text: String) -> IPAddress { IPAddress(text)! }
package func prefix(_ text: String) -> IPPrefix { IPPrefix(text)! }
