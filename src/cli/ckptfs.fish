# Completion of ckptfs, mount.ckptfs, umount.ckptfs and fsck.ckptfs for fish. What --help says is offered, so there is no list to
# keep; and the steps and variables in a checkpoint directory.

# The verbs of --help, each with what it says of them.
function __ckptfs_verbs
    for line in (command $argv[1] --help 2>/dev/null | string match -r '^  [a-z].*')
        set -l parts (string split -m 1 '  ' -- (string trim -- $line))
        for verb in (string split ', ' -- $parts[1])
            printf '%s\t%s\n' $verb (string trim -- $parts[2])
        end
    end
end

# __ckptfs_help OPTION COMMAND...: what that OPTION can be given by COMMAND's --help; without one the options.
function __ckptfs_help
    set -l option
    for line in (command $argv[2..] --help 2>/dev/null | string match -r '^  -.*')
        set -l parts (string split -m 1 '  ' -- (string trim -- $line))
        for word in (string split -n ' ' -- (string replace -ar '[,|]' ' ' -- $parts[1]))
            if string match -q -- '-*' $word
                set option (string replace -r '[[<].*' '' -- $word)
                test -n "$argv[1]"; or printf '%s\t%s\n' $option (string trim -- $parts[2])
            else if test "$option" = "$argv[1]"; and string match -qr '^[a-z]' -- $word
                printf '%s\t%s\n' $word (string trim -- $parts[2])
            end
        end
    end
end

# What `ckptfs ls` finds in the folder, step or scope of the word that is typed.
function __ckptfs_names
    set -l typed (string unescape -- (commandline -ct); or commandline -ct)
    set -l under (string match -r '^.*/' -- $typed)
    for name in (command $argv[1] ls -p (string replace -r '^~/' "$HOME/" -- $under ./)[1] 2>/dev/null)
        printf '%s\n' "$under$name"
    end
end

function __ckptfs_complete
    set -l words (commandline -opc)
    if not set -q words[2]
        __ckptfs_verbs $words[1]
        printf 'help\ttells more of a verb\n--help\n--version\n'
        return
    end
    if test $words[2] = help
        __ckptfs_verbs $words[1]
        return
    end
    set -l values
    set -q words[3]; and set values (__ckptfs_help $words[-1] $words[1..2])
    if set -q values[1]
        string join \n -- $values
    else if string match -q -- '-*' (commandline -ct)
        __ckptfs_help '' $words[1..2]
    else
        __fish_complete_path (commandline -ct)
        contains $words[2] mount umount; or __ckptfs_names $words[1]
    end
end

# The options behind -o of mount.ckptfs, of which some may stand already.
function __ckptfs_mount_options
    set -l before (string match -r '^.*,' -- (commandline -ct))
    for line in (command mount.ckptfs --help 2>/dev/null | string match -r '^  [a-z_]+(?:=\S*)? .*')
        set -l parts (string split -m 1 ' ' -- (string trim -- $line))
        set -l name (string match -r '^[a-z_]+=?' -- $parts[1])
        set -l values (string split '|' -- (string replace $name '' -- $parts[1]) | string match -r '^[a-z0-9].*')
        string match -q '*=' -- $name; and not string match -qr '=[a-z0-9|]+$' -- $parts[1]; and set -p values ''
        set -q values[1]; or set values ''
        for value in $values
            printf '%s\t%s\n' "$before$name$value" (string trim -- $parts[2])
        end
    end
end

function __ckptfs_mounts
    while read -l source where type rest
        test $type = fuse.ckptfs; and printf '%b\n' $where
    end </proc/self/mounts
end

function __ckptfs_helper
    set -l words (commandline -opc)
    if string match -q -- '-*' (commandline -ct)
        __ckptfs_help '' $words[1]
    else if test $words[-1] = -o; and string match -q '*mount.ckptfs' -- $words[1]
        __ckptfs_mount_options
    else if string match -q '*umount.ckptfs' -- $words[1]
        __ckptfs_mounts
    else
        __fish_complete_path (commandline -ct)
    end
end

complete -c ckptfs -f -a '(__ckptfs_complete)'
for program in mount.ckptfs umount.ckptfs fsck.ckptfs
    complete -c $program -f -a '(__ckptfs_helper)'
end
