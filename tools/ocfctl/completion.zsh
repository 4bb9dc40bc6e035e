#compdef ocfctl
# Completion of ocfctl for zsh. Commands and options are what its own help says; hrefs and devices are asked from the
# daemon, with a short patience.

_ocfctl_ask() {
    timeout 0.3 ocfctl "${bus[@]}" --timeout 0.2 -q --json "$@" 2>/dev/null
}

_ocfctl_strings() {
    # the values of one key of flat JSON, without needing a JSON tool
    grep -o "\"$1\":\"[^\"]*\"" | cut -d '"' -f 4
}

_ocfctl_add() {
    # words that contain ":" are whole words, too
    local -a offered=("${(@)@:#}")
    (( ! $#offered )) || compadd -- "${offered[@]}"
}

_ocfctl_devices() {
    local known=$(_ocfctl_ask list)
    _ocfctl_add "${(@f)$(_ocfctl_strings name <<<"$known")}"
    # ids where somebody begins to write one
    [[ $PREFIX != [0-9a-f][0-9a-f]* ]] || _ocfctl_add "${(@f)$(_ocfctl_strings device_id <<<"$known")}"
}

_ocfctl_hrefs() {
    _ocfctl_add "${(@f)$(_ocfctl_ask resources --all | _ocfctl_strings href)}"
}

_ocfctl_described() {
    # lines "  WORD ...  what it is", those whose WORD is like this
    local line
    local -a rows
    for line in "${(@f)$(ocfctl "${@[2,-1]}" --help)}"; do
        [[ $line =~ "^  ($1)( [A-Z]+)?  +(.*)" ]] && rows+=("$match[1]:$match[3]")
    done
    _describe ocfctl rows
}

_ocfctl_arguments() {
    case $command:$#arguments in
    :0) _ocfctl_described '[a-z]+' ;;
    (get|set|create|delete|observe):0) _ocfctl_hrefs; _ocfctl_devices ;;
    (get|set|create|delete|observe):1)
        [[ $arguments[1] == /* ]] ||
            _ocfctl_add "${(@f)$(_ocfctl_ask info "$arguments[1]" | _ocfctl_strings href)}"
        ;;
    monitor:*) _ocfctl_hrefs ;;
    (info|reset|state|wait|domain|cloud):0 | own:* | pair:[01] | cred:1) _ocfctl_devices ;;
    state:1) _ocfctl_add RFPRO RFNOP SRESET ;;
    wait:1) _ocfctl_add reachable owned gone ;;
    domain:2) _ocfctl_add private ;;
    cloud:*) compadd -S '' -- cis= sid= apn= at= ;;
    add:0) _ocfctl_add remove ;;
    cred:0) _ocfctl_add list remove ;;
    acl:0) _ocfctl_add list check add remove ;;
    acl:1) if [[ $arguments[1] == check ]]; then _ocfctl_add anon-clear auth-crypt role:; else _ocfctl_devices; fi ;;
    acl:2) [[ $arguments[1] != add ]] || _ocfctl_add anon-clear auth-crypt role: ;;
    acl:*) [[ $arguments[1] != check ]] || _ocfctl_hrefs ;;
    cert:0) _ocfctl_add identity role anchor manufacturer authority ;;
    cert:1)
        case $arguments[1] in
        manufacturer) _files ;;
        identity | role | anchor) _ocfctl_devices ;;
        esac
        ;;
    cert:2) [[ $arguments[1] != anchor ]] || _files ;;
    store:0) _ocfctl_add check backup restore rekey ;;
    store:1) _files ;;
    esac
}

_ocfctl() {
    local command='' i
    local -a arguments bus
    for ((i = 2; i < CURRENT; i++)); do
        case $words[i] in
        --bus) bus=(--bus "${words[++i]}") ;;
        --bus=*) bus=("$words[i]") ;;
        --device | --timeout | --rt | --if | --name | --linger | --query | --method | --pin) ((i++)) ;;
        -*) ;;
        *) if [[ -n $command ]]; then arguments+=("$words[i]"); else command=$words[i]; fi ;;
        esac
    done
    case $words[CURRENT-1] in
    --bus) compadd -- system session unix:path= ;;
    --device) _ocfctl_add "${(@f)$(_ocfctl_ask status | _ocfctl_strings device_id)}" ;;
    --method) _ocfctl_add just-works random-pin manufacturer-certificate ;;
    --if) _ocfctl_add oic.if.a oic.if.s oic.if.r oic.if.rw oic.if.baseline ;;
    --timeout | --rt | --name | --linger | --query | --pin) ;;
    *) if [[ $PREFIX == -* ]]; then _ocfctl_described '--[a-z-]+' $command; else _ocfctl_arguments; fi ;;
    esac
}

_ocfctl "$@"
