// SPDX-License-Identifier: Apache-2.0
import CNI
import Embedded
import System

/// The value of an environment variable; nil if it is unset or empty.
func variable(_ name: String) -> String? {
  guard let value = environmentVariable(name), !value.isEmpty else { return nil }
  return value
}

/// Checks the variables that name a folder.
/// - Throws: wrong usage.
func checkVariables() throws(CNIError) {
  try checkPath("CNI_CONF_DIR", variable("CNI_CONF_DIR"))
  try checkPath("CNI_RUN_CACHE", variable("CNI_RUN_CACHE"))
}

/// - Throws: wrong usage for a relative path: files would be written below `/` but read below the working directory.
@inline(never)
func checkPath(_ name: String, _ path: String?) throws(CNIError) {
  guard let path, path.utf8.first != UInt8(ascii: "/") else { return }
  throw .wrongUsage("\(name) is \"\(path)\", expected an absolute path")
}
