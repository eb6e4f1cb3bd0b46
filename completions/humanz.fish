# SPDX-License-Identifier: Apache-2.0
# fish completion for humanz: put it into /usr/share/fish/vendor_completions.d.

function __humanz_networks
    humanz leases --json 2>/dev/null | string match -ra '"network":"([^"]*)"' -g | sort -u
end

function __humanz_is
    # Whether the command line is that of one of these commands.
    set -l words (commandline -opc)
    test (count $words) -gt 1; and contains -- $words[2] $argv
end

complete -c humanz -f
complete -c humanz -s h -l help -d 'show this help'
complete -c humanz -n __fish_use_subcommand -l version -d 'show the version'
complete -c humanz -n __fish_use_subcommand -a ports -d "show the pods' ports on the node's bridges"
complete -c humanz -n __fish_use_subcommand -a leases -d 'show who holds each address'
complete -c humanz -n __fish_use_subcommand -a release -d 'free an address, even if a pod still uses it'
complete -c humanz -n __fish_use_subcommand -a routes -d 'show routes, forwarding and firewalls'
complete -c humanz -n __fish_use_subcommand -a sync -d "make the routes to the peers of a conflist or a cluster"
complete -c humanz -n __fish_use_subcommand -a lint -d 'check configurations, and this node for them'
complete -c humanz -n __fish_use_subcommand -a convert -d "make a conflist of another plugin's configuration"
complete -c humanz -n __fish_use_subcommand -a metrics -d "print the node's metrics for Prometheus"
complete -c humanz -n __fish_use_subcommand -a install -d 'put the plugins and a conflist where runtimes look'
complete -c humanz -n __fish_use_subcommand -a uninstall -d 'take back what install wrote'
complete -c humanz -n __fish_use_subcommand -a run -d 'run the plugins of a network'
complete -c humanz -n __fish_use_subcommand -a help -d 'show the help of a command'

complete -c humanz -n '__fish_use_subcommand; or __humanz_is ports leases routes lint' -l json -d 'print JSON'
complete -c humanz -n '__fish_use_subcommand; or __humanz_is ports leases routes' -l wide -d 'cut nothing'
complete -c humanz -n '__humanz_is routes' -l dot -d 'print a graph for dot -Tsvg'
complete -c humanz -n '__humanz_is leases release routes' -l conflist -rF -d 'only the networks in this file'
complete -c humanz -n '__humanz_is leases release' -l data-dir -x -a '(__fish_complete_directories)' -d 'only the stores in this folder'
complete -c humanz -n '__humanz_is leases release' -a '(__humanz_networks)' -d network

complete -c humanz -n '__humanz_is sync' -l node -x -d "this node's name"
complete -c humanz -n '__humanz_is sync' -l watch -d 'go on, and repair the routes'
complete -c humanz -n '__humanz_is sync' -l kubectl -rF -d 'start this kubectl'
complete -c humanz -n '__humanz_is sync' -l kubeconfig -rF -d 'what kubectl uses'
complete -c humanz -n '__humanz_is sync' -l metrics -rF -d 'write metrics to this file'
complete -c humanz -n '__humanz_is sync' -l heartbeat -rF -d 'write this file every ten seconds'
complete -c humanz -n '__humanz_is sync lint convert' -F
complete -c humanz -n '__humanz_is sync' -l cluster-file -rF -d 'the file to write'

complete -c humanz -n '__humanz_is install uninstall' -l bin-dir -x -a '(__fish_complete_directories)' -d 'the folder of plugins'
complete -c humanz -n '__humanz_is install uninstall' -l conf-dir -x -a '(__fish_complete_directories)' -d 'the folder of configurations'
complete -c humanz -n '__humanz_is install' -l from -x -a '(__fish_complete_directories)' -d 'take the plugins from this folder'
complete -c humanz -n '__humanz_is install' -l conflist -rF -d 'write this conflist'
complete -c humanz -n '__humanz_is uninstall' -l network -d 'also what the node has of the networks'

complete -c humanz -n '__humanz_is run' -a 'add check del gc status version'
complete -c humanz -n '__humanz_is run' -F
complete -c humanz -n '__humanz_is run' -l ifname -x -d 'the interface in the pod'
complete -c humanz -n '__humanz_is run' -l container-id -x -d 'instead of the last part of NETNS'
complete -c humanz -n '__humanz_is run' -l args -x -d CNI_ARGS
complete -c humanz -n '__humanz_is run' -l capability-args -x -d 'runtimeConfig, as JSON'
complete -c humanz -n '__humanz_is run' -l valid -x -d 'an attachment that gc keeps; gc removes all others'

complete -c humanz -n '__humanz_is help' -a 'ports leases release routes sync lint convert metrics install uninstall run'
