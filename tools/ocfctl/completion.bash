# Completion of ocfctl for bash. Hrefs and devices are asked from the daemon, with a short patience.

_ocfctl_ask() {
    timeout 0.3 ocfctl "${_ocfctl_bus[@]}" --timeout 0.2 -q --json "$@" 2>/dev/null
}

_ocfctl_strings() {
    # the values of one key of flat JSON, without needing a JSON tool
    grep -o "\"$1\":\"[^\"]*\"" | cut -d '"' -f 4
}

_ocfctl() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command='' i
    local commands='status apps resources serve get set observe monitor
        owner reset pin cred acl audit sessions store doctor'
    local options='--bus --device --timeout --json --no-legend --no-ask-password --quiet --help --version'
    local _ocfctl_bus=()

    # bash splits at "=" and ":", so that an address comes in several words: they are joined again
    local words=() word
    for word in "${COMP_WORDS[@]:0:COMP_CWORD}"; do
        if [ ${#words[@]} -gt 0 ] && { [[ $word == [=:]* ]] || [[ ${words[-1]} == *[=:] ]]; }; then
            words[-1]+=$word
        else
            words+=("$word")
        fi
    done
    for ((i = 1; i < ${#words[@]}; i++)); do
        case ${words[i]} in
        --bus) _ocfctl_bus=(--bus "${words[++i]:-system}") ;;
        --bus=*) _ocfctl_bus=(--bus "${words[i]#--bus=}") ;;
        --device | --timeout | --rt | --if | --name | --linger | --query) i=$((i + 1)) ;;
        -*) ;;
        *) [ -n "$command" ] || command=${words[i]} ;;
        esac
    done
    COMPREPLY=()
    case $prev in
    --bus)
        COMPREPLY=($(compgen -W 'system session unix:path=' -- "$cur"))
        return
        ;;
    --device)
        COMPREPLY=($(compgen -W "$(_ocfctl_ask status | _ocfctl_strings device_id)" -- "$cur"))
        return
        ;;
    --if)
        COMPREPLY=($(compgen -W 'oic.if.a oic.if.s oic.if.r oic.if.rw oic.if.baseline' -- "$cur"))
        return
        ;;
    --timeout | --rt | --name | --linger | --query) return ;;
    esac
    case $command in
    resources | monitor) options+=' --all' ;;
    serve) options+=' --rt --if --name --insecure --linger' ;;
    get | set) options+=' --if --query' ;;
    observe) options+=' --query' ;;
    reset | store) options+=' --yes' ;;
    esac
    if [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$options" -- "$cur"))
    elif [ -z "$command" ]; then
        COMPREPLY=($(compgen -W "$commands" -- "$cur"))
    elif [[ $command == store && $prev == @(backup|restore) ]]; then
        COMPREPLY=($(compgen -f -- "$cur"))
    elif [[ $prev == "$command" && $command == @(cred|acl|store) ]]; then
        local verbs=list
        [ "$command" = acl ] && verbs='list check'
        [ "$command" = store ] && verbs='check backup restore rekey'
        COMPREPLY=($(compgen -W "$verbs" -- "$cur"))
    elif [[ $command == acl && $cur == /* ]]; then
        COMPREPLY=($(compgen -W "$(_ocfctl_ask resources --all | _ocfctl_strings href)" -- "$cur"))
    elif [[ $command == acl && $prev == check ]]; then
        COMPREPLY=($(compgen -W 'anon-clear auth-crypt role:' -- "$cur"))
    elif [[ $command == @(get|set|observe|monitor) ]]; then
        COMPREPLY=($(compgen -W "$(_ocfctl_ask resources --all | _ocfctl_strings href)" -- "$cur"))
    fi
}

complete -F _ocfctl ocfctl
