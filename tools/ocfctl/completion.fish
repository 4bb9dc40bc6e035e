# Completion of ocfctl for fish. Commands and options are what its own help says; hrefs and devices are asked from the
# daemon, with a short patience.

function __ocfctl_words
    # of the line so far: kind "command", "bus", or "arguments"
    set -l words (commandline -opc)
    set -e words[1]
    set -l command
    set -l arguments
    set -l bus
    while set -q words[1]
        switch $words[1]
            case --bus
                set bus --bus $words[2]
                set -e words[1]
            case '--bus=*'
                set bus $words[1]
            case --device --timeout --rt --if --name --linger --query --method --pin
                set -e words[1]
            case '-*'
            case '*'
                if set -q command[1]
                    set -a arguments $words[1]
                else
                    set command $words[1]
                end
        end
        set -e words[1]
    end
    string join \n -- $$argv[1]
end

function __ocfctl_ask
    set -l bus (__ocfctl_words bus)
    timeout 0.3 ocfctl $bus --timeout 0.2 -q --json $argv 2>/dev/null
end

function __ocfctl_strings
    # the values of one key of flat JSON, without needing a JSON tool
    grep -o "\"$argv[1]\":\"[^\"]*\"" | cut -d '"' -f 4
end

function __ocfctl_devices
    set -l known (__ocfctl_ask list)
    string join \n -- $known | __ocfctl_strings name | string match -r '.+'
    # ids where somebody begins to write one
    if string match -qr '^[0-9a-f]{2}' -- (commandline -ct)
        string join \n -- $known | __ocfctl_strings device_id
    end
end

function __ocfctl_hrefs
    __ocfctl_ask resources --all | __ocfctl_strings href
end

function __ocfctl_commands
    ocfctl --help | string match -r '^  [a-z]+ {2,}.*' | string replace -r '^  ([a-z]+) +(.*)' '$1\t$2'
end

function __ocfctl_options
    set -l command (__ocfctl_words command)
    ocfctl $command --help | string match -r '^  --.*' | string replace -r '^  (--[a-z-]+)( [A-Z]+)? +(.*)' '$1\t$3'
end

function __ocfctl_arguments
    set -l command (__ocfctl_words command)
    set -l arguments (__ocfctl_words arguments)
    switch "$command:"(count $arguments)
        case ':0'
            __ocfctl_commands
        case get:0 set:0 create:0 delete:0 observe:0
            __ocfctl_hrefs
            __ocfctl_devices
        case get:1 set:1 create:1 delete:1 observe:1
            string match -q '/*' -- $arguments[1]; or __ocfctl_ask info $arguments[1] | __ocfctl_strings href
        case 'monitor:*'
            __ocfctl_hrefs
        case info:0 reset:0 'own:*' pair:0 pair:1 state:0 wait:0 domain:0 cloud:0 cred:1
            __ocfctl_devices
        case state:1
            string join \n RFPRO RFNOP SRESET
        case wait:1
            string join \n reachable owned gone
        case domain:2
            echo private
        case 'cloud:*'
            string join \n cis= sid= apn= at=
        case add:0
            echo remove
        case cred:0
            string join \n list remove
        case acl:0
            string join \n list check add remove
        case acl:1
            if test $arguments[1] = check
                string join \n anon-clear auth-crypt role:
            else
                __ocfctl_devices
            end
        case acl:2
            test $arguments[1] = add; and string join \n anon-clear auth-crypt role:
        case 'acl:*'
            test $arguments[1] = check; and __ocfctl_hrefs
        case cert:0
            string join \n identity role anchor manufacturer authority
        case cert:1
            if test $arguments[1] = manufacturer
                __fish_complete_path
            else if test $arguments[1] != authority
                __ocfctl_devices
            end
        case cert:2
            test $arguments[1] = anchor; and __fish_complete_path
        case store:0
            string join \n check backup restore rekey
        case store:1
            __fish_complete_path
    end
end

complete -c ocfctl -f
complete -c ocfctl -n 'string match -q -- "-*" (commandline -ct)' -a '(__ocfctl_options)'
complete -c ocfctl -n 'not string match -q -- "-*" (commandline -ct)' -a '(__ocfctl_arguments)'
complete -c ocfctl -l bus -x -a 'system session unix:path='
complete -c ocfctl -l device -x -a '(__ocfctl_ask status | __ocfctl_strings device_id)'
complete -c ocfctl -l method -x -a 'just-works random-pin manufacturer-certificate'
complete -c ocfctl -l if -x -a 'oic.if.a oic.if.s oic.if.r oic.if.rw oic.if.baseline'
for option in timeout rt name linger query pin
    complete -c ocfctl -l $option -x
end
