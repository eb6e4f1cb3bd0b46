// SPDX-License-Identifier: Apache-2.0
import CNI
import Embedded
import Routes

private var json: Option { Option("--json", nil, "print JSON") }
private var wide: Option {
  Option("--wide", nil, "cut nothing: whole container IDs, all columns, long lines")
}
private var conflist: Option {
  Option("--conflist", "FILE", "use only the networks in this file")
}
private var folders: [Option] {
  [
    Option("--bin-dir", "DIR", "the folder of plugins, instead of /opt/cni/bin"),
    Option("--conf-dir", "DIR", "the folder of configurations, instead of /etc/cni/net.d"),
  ]
}
private var dataDir: Option {
  Option("--data-dir", "DIR", "use only the lease stores in this folder")
}

/// What `humanz` without a command does.
var overviewCommand: Command {
  Command(
    "", "Shows the node's networks, what is wrong, and what to do first",
    forms: ["[--json] [--wide]"], options: [json, wide], run: showOverview)
}

/// The commands in the order of the help.
var commands: [Command] {
  [
    Command(
      "ports", "Shows the pods' ports on the node's bridges", forms: ["[--json] [--wide]"],
      options: [json, wide], run: showPorts),
    Command(
      "leases", "Shows who holds each address, and how full each pool is",
      forms: ["[NETWORK] [--json] [--wide] [--data-dir DIR | --conflist FILE]"], operands: 0...1,
      options: [json, wide, dataDir, conflist],
      notes: """
        A stale lease was made before the last boot, or its namespace and link are both gone. It is freed
        when its pool has no other address left. This command changes nothing.
        """, run: showLeases),
    Command(
      "release", "Frees an address, even if a pod still uses it",
      forms: ["NETWORK ADDRESS [--data-dir DIR | --conflist FILE]"], operands: 2...2,
      options: [dataDir, conflist],
      notes: "A pod that uses the address keeps it, and another pod may then get the same one.",
      run: releaseAddress),
    Command(
      "routes", "Shows the node's routes to other nodes' pods, forwarding and firewalls",
      forms: ["[--json | --dot] [--wide] [--conflist FILE]"],
      options: [
        json, Option("--dot", nil, "print a graph of nodes and subnets for `dot -Tsvg`"), wide,
        conflist,
      ],
      notes: "Exit status 1: something is wrong.", run: showRoutes),
    Command(
      "sync", "Makes this node's routes to the peers of a conflist or of a Kubernetes cluster",
      forms: [
        "[--watch] [OPTION]... CONFLIST",
        "--node NAME [OPTION]...  <NODES",
        "--node NAME --watch [OPTION]...  <EVENTS",
        "--node NAME [--watch] --kubectl PATH [--kubeconfig FILE] [OPTION]...",
        "--heartbeat FILE",
      ], operands: 0...1,
      options: [
        Option("--node", "NAME", "this node's name, as `kubectl get nodes` has it"),
        Option(
          "--watch", nil, "keep running: follow the cluster or the conflist, and repair the routes"),
        Option(
          "--kubectl", "PATH", "the kubectl to run; with --watch it is run again when it ends"),
        Option("--kubeconfig", "FILE", "the configuration file of that kubectl"),
        Option(
          "--cluster-file", "FILE", "the file to write, instead of \(ClusterFile.defaultPath)"),
        Option("--metrics", "FILE", "with --watch: write the node's metrics to this file"),
        Option("--heartbeat", "FILE", "with --watch: write this file every ten seconds"),
      ],
      notes: """
        CONFLIST: makes the routes to the peers that it names, and without --watch prints each change.
        NODES is the output of `kubectl get nodes -o json`, EVENTS that of `kubectl get nodes -o json
        --watch`, with or without --output-watch-events; the end of EVENTS is an error. With --watch and
        --kubectl the nodes are listed again at least every ten minutes. With --watch the routes are
        repaired within a second of a change that the kernel reports, and compared every ten seconds.
        Without --watch, exit status 1 means that a node is left out or that a route stays wrong.
        --heartbeat FILE alone: exit status 1 if that file was not written for a minute, because a sync
        hangs or has ended.
        """, run: synchronize),
    Command(
      "lint", "Checks configurations, and whether this node has what they need",
      forms: ["[FILE]... [--json]"], operands: 0...1000, options: [json],
      notes: """
        Without FILE: every configuration in CNI_CONF_DIR, or else /etc/cni/net.d. Plugins are looked for
        in CNI_PATH, in the folders that the configurations of containerd, podman and CRI-O name, and in the
        usual ones, such as /opt/cni/bin. The values of some keys are checked by the plugins alone: `humanz run
        status FILE` asks them. Exit status 1: an error was found; a warning may be intended.
        """, run: lintFiles),
    Command(
      "convert", "Converts another plugin's configuration to a conflist for humanz",
      forms: ["FILE"],
      operands: 1...1,
      notes: """
        FILE is a configuration of the tutorial's humanz-cni, of the reference bridge with host-local, of
        flannel or of kindnet. The conflist is printed on stdout; keys without a counterpart, and what is
        left to do, on stderr.
        """, run: convertFile),
    Command(
      "metrics", "Prints the node's metrics for Prometheus", forms: [""],
      notes: """
        node_exporter's textfile collector reads them from a file, which `humanz sync --watch --metrics
        FILE` keeps up to date.
        """, run: printMetrics),
    Command(
      "install", "Puts the plugins and a conflist where container runtimes look",
      forms: ["[--bin-dir DIR] [--conf-dir DIR] [--from DIR] [--conflist FILE]"],
      options: folders + [
        Option("--from", "DIR", "take the plugins from this folder"),
        Option("--conflist", "FILE", "write this conflist, after the plugins"),
      ],
      notes: """
        Without --from the plugins are taken from humanz's own folder, /opt/cni/bin, /usr/lib/cni or
        /usr/libexec/cni. A file is replaced in one step, even while a program runs from it, and only if
        `humanz install` wrote it. A missing folder is made.
        Exit status 1: a file that somebody else wrote or changed is in the way, and stays.
        """, run: installFiles),
    Command(
      "uninstall", "Removes what `humanz install` wrote",
      forms: ["[--bin-dir DIR] [--conf-dir DIR] [--network]"],
      options: folders + [
        Option("--network", nil, "also remove the networks' leases, rules, routes and bridges")
      ],
      notes: """
        The conflists are removed before the plugins, even those that were installed into another folder.
        With --network nothing is removed while a pod is attached, and the files stay if a part of a network
        does or a configuration cannot be read. What is removed is printed.
        Exit status 1: something was not removed: a file that was changed since, or with --network what
        keeps the files.
        """, run: uninstallFiles),
    Command(
      "run", "Runs the plugins of a network as a container runtime does",
      forms: [
        "add|check|del CONFLIST NETNS [OPTION]...",
        "gc CONFLIST [--valid CONTAINER:INTERFACE]...",
        "status|version CONFLIST",
      ], operands: 2...3,
      options: [
        Option("--ifname", "NAME", "the interface in the pod, instead of eth0"),
        Option("--container-id", "ID", "the container ID, instead of the last part of NETNS"),
        Option("--args", "ARGS", "CNI_ARGS: 'KEY=VALUE;KEY=VALUE'"),
        Option(
          "--capability-args", "JSON", "runtimeConfig: an object with a value for each capability"),
        Option(
          "--valid", "CONTAINER:INTERFACE", "an attachment that gc keeps; gc removes all others"),
      ],
      notes: """
        NETNS is the path of a network namespace, or its name in /run/netns; in a del, '-' means that the
        namespace is gone. Plugins are looked for in CNI_PATH, or else in humanz's own folder, /opt/cni/bin,
        /usr/lib/cni and /usr/libexec/cni. Results are kept in CNI_RUN_CACHE, or else in /run/humanz/results. An error is
        printed as the plugin's own JSON on stdout.
        """, run: runNetwork),
  ]
}

/// - Throws: wrong usage for a name that no command has.
func namedCommand(_ name: String) throws(CNIError) -> Command {
  guard let command = commands.first(where: { $0.name == name }) else {
    throw .wrongUsage(
      "there is no command \"\(name)\"\(suggestion(for: name, among: commands.map { $0.name }))")
  }
  return command
}

/// `humanz help [COMMAND]`.
/// - Throws: wrong usage.
func showHelp(_ words: [String]) throws(CNIError) -> Int32 {
  if words.count > 1 { throw .wrongUsage("\"\(words[1])\" is one operand too many") }
  let name = words.first ?? "help"
  let isAlone = ["help", "-h", "--help"].contains(name)
  try Output.print(isAlone ? toolHelp : namedCommand(name).help)
  return 0
}

/// The help of the whole tool.
var toolHelp: [String] {
  var lines = overviewCommand.usage + ["       humanz COMMAND [OPTION]...", ""]
  lines += ["\(overviewCommand.summary). The commands:", ""]
  for command in commands {
    let gap = String(repeating: " ", count: max(1, 11 - command.name.utf8.count))
    lines.append("  \(command.name)\(gap)\(command.summary)")
  }
  return lines + [
    "", "  -h, --help  show this help; after a command, the help of that command",
    "  --version   show the version", "",
    "Configurations are looked for in CNI_CONF_DIR, or else in /etc/cni/net.d.",
    "Exit status: 0 fine, 1 something is wrong, 2 wrong usage.",
  ]
}
