# Completion of ocfctl for bash. Hrefs and devices are asked from the daemon, with a short patience.

_ocfctl_ask() {
    timeout 0.3 ocfctl "${_ocfctl_bus[@]}" --timeout 0.2 -q --json "$@" 2>/dev/null
}

_ocfctl_strings() {
    # the values of one key of flat JSON, without needing a JSON tool
    grep -o "\"$1\":\"[^\"]*\"" | cut -d '"' -f 4
}

_ocfctl_devices() {
    # names of one word; ids where somebody begins to write one
    local known
    known=$(_ocfctl_ask list)
    _ocfctl_strings name <<<"$known" | grep -v ' '
    [[ $cur != [0-9a-f][0-9a-f]* ]] || _ocfctl_strings device_id <<<"$known"
}

_ocfctl_hrefs() {
    _ocfctl_ask resources --all | _ocfctl_strings href
}

# What may stand here: the command's arguments so far are in arguments.
_ocfctl_arguments() {
    local n=${#arguments[@]}
    case $command:$n in
    get:0 | set:0 | create:0 | delete:0 | observe:0) _ocfctl_hrefs && _ocfctl_devices ;;
    get:1 | set:1 | create:1 | delete:1 | observe:1)
        [[ ${arguments[0]} == /* ]] || _ocfctl_ask info "${arguments[0]}" | _ocfctl_strings href
        ;;
    monitor:*) _ocfctl_hrefs ;;
    info:0 | reset:0 | own:* | pair:[01] | state:0 | wait:0 | domain:0 | cloud:0) _ocfctl_devices ;;
    state:1) echo RFPRO RFNOP SRESET ;;
    wait:1) echo reachable owned gone ;;
    domain:2) echo private ;;
    cloud:*) echo cis= sid= apn= at= ;;
    add:0) echo remove ;;
    cred:0) echo list remove ;;
    cred:1) _ocfctl_devices ;;
    acl:0) echo list check add remove ;;
    acl:1) [ "${arguments[0]}" != check ] && _ocfctl_devices || echo anon-clear auth-crypt role: ;;
    acl:2) [ "${arguments[0]}" != add ] || echo anon-clear auth-crypt role: ;;
    acl:*) [ "${arguments[0]}" != check ] || _ocfctl_hrefs ;;
    cert:0) echo identity role anchor manufacturer authority ;;
    cert:1) [[ ${arguments[0]} != @(identity|role|anchor) ]] || _ocfctl_devices ;;
    store:0) echo check backup restore rekey ;;
    esac
}

_ocfctl() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command='' i
    local commands='status apps resources serve discover list info add wait get set create delete observe monitor
        owner init own pair cert state domain cloud jobs reset pin cred acl audit sessions store doctor'
    local arguments=()
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
        --device | --timeout | --rt | --if | --name | --linger | --query | --method | --pin) i=$((i + 1)) ;;
        -*) ;;
        *) [ -n "$command" ] && arguments+=("${words[i]}") || command=${words[i]} ;;
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
    --method)
        COMPREPLY=($(compgen -W 'just-works random-pin manufacturer-certificate' -- "$cur"))
        return
        ;;
    --timeout | --rt | --name | --linger | --query | --pin) return ;;
    esac
    case $command in
    resources | monitor) options+=' --all' ;;
    serve) options+=' --rt --if --name --insecure --linger' ;;
    get | set | create) options+=' --if --query' ;;
    delete | observe) options+=' --query' ;;
    init) options+=' --name' ;;
    own) options+=' --method --pin --no-certificate --all' ;;
    reset) options+=' --yes --forget' ;;
    store) options+=' --yes' ;;
    esac
    if [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$options" -- "$cur"))
    elif [ -z "$command" ]; then
        COMPREPLY=($(compgen -W "$commands" -- "$cur"))
    elif [[ $command:${arguments[0]-} == @(store:backup|store:restore|cert:manufacturer) ]] ||
        [[ $command:${arguments[0]-}:${#arguments[@]} == cert:anchor:2 ]]; then
        COMPREPLY=($(compgen -f -- "$cur"))
    else
        COMPREPLY=($(compgen -W "$(_ocfctl_arguments)" -- "$cur"))
    fi
}

complete -F _ocfctl ocfctl
