# SPDX-License-Identifier: Apache-2.0
# bash completion for humanz: put it into /usr/share/bash-completion/completions, named humanz.

_humanz_networks() {
  "${1:-humanz}" leases --json 2>/dev/null | grep -o '"network":"[^"]*"' | cut -d'"' -f4 | sort -u
}

_humanz() {
  local program=${COMP_WORDS[0]} current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  local command="" operands=0 word options index
  COMPREPLY=()

  # The words before the cursor: the command, and how many operands follow it.
  for ((index = 1; index < COMP_CWORD; index++)); do
    word=${COMP_WORDS[index]}
    case $word in
      --conflist | --data-dir | --node | --cluster-file | --kubectl | --kubeconfig | --metrics | --heartbeat | \
        --ifname | --bin-dir | --conf-dir | --from | --container-id | --args | --capability-args | --valid) ((index++)) ;;
      -*) ;;
      *) if [[ -z $command ]]; then command=$word; else ((operands++)); fi ;;
    esac
  done

  case $previous in
    --conflist | --cluster-file | --kubectl | --kubeconfig | --metrics | --heartbeat)
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
      return ;;
    --data-dir | --bin-dir | --conf-dir | --from)
      mapfile -t COMPREPLY < <(compgen -d -- "$current")
      return ;;
    --node | --ifname | --container-id | --args | --capability-args | --valid) return ;;
  esac

  case $command in
    '') options='--json --wide --help --version' ;;
    ports) options='--json --wide --help' ;;
    leases) options='--json --wide --data-dir --conflist --help' ;;
    release) options='--data-dir --conflist --help' ;;
    routes) options='--json --dot --wide --conflist --help' ;;
    sync) options='--node --watch --kubectl --kubeconfig --cluster-file --metrics --heartbeat --help' ;;
    lint) options='--json --help' ;;
    install) options='--bin-dir --conf-dir --from --conflist --help' ;;
    uninstall) options='--bin-dir --conf-dir --network --help' ;;
    convert | metrics) options='--help' ;;
    run) options='--ifname --container-id --args --capability-args --valid --help' ;;
    *) options='' ;;
  esac
  if [[ $current == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
    return
  fi

  case $command:$operands in
    :0 | help:0)
      mapfile -t COMPREPLY < <(compgen -W 'ports leases release routes sync lint convert metrics install uninstall run help' -- "$current") ;;
    leases:0 | release:0)
      mapfile -t COMPREPLY < <(compgen -W "$(_humanz_networks "$program")" -- "$current") ;;
    run:0) mapfile -t COMPREPLY < <(compgen -W 'add check del gc status version' -- "$current") ;;
    lint:* | convert:0 | sync:0 | run:1) mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
    run:2) mapfile -t COMPREPLY < <(compgen -W "$(ls /run/netns 2>/dev/null)" -- "$current") ;;
  esac
}

complete -F _humanz humanz
