// SPDX-License-Identifier: Apache-2.0
import CNI
import Embedded

/// `humanz ports`: the pod behind each port of the bridges.
func showPorts(_ arguments: Arguments) throws(CNIError) -> Int32 {
  let configured = try ConfiguredNetworks(file: nil)
  let ports = try PortReport(configured).ports
  if arguments.has("--json") {
    try Output.print(.object(JSONObject(("ports", .array(ports.map { $0.json })))))
    return 0
  }
  let wide = arguments.has("--wide")
  var table = Table(Port.header(wide: wide))
  for port in ports { table.append(port.words(wide: wide)) }
  try Output.print(table.withoutEmpty("POD").lines(wide: wide))
  return 0
}
