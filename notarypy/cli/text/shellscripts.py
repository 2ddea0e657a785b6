"""The scripts that make shells complete command lines: each asks `notarypy completion SHELL WORD...` for it.

What it is: the shells' side. What it is not: a list of commands or options: what is asked knows them.

Rules:

1. The first line of an answer is a kind and what is kept; each other one is a word, a tab and what the word
   is. The kinds are those of `proposals.Proposals`.
2. What comes in an answer, and the name of a file, is inserted as a word with quotes where it needs them, and
   never run.
3. What is asked is the `notarypy` of the PATH, whatever the line begins with: a program in a folder that
   somebody only looks at is not run by Tab. Where there is none, or it fails, nothing is proposed.
4. bash 3.2, which macOS has, is enough. It has no `compopt`: a blank follows whatever is completed, and names
   of files get their quotes here; as where there is a dollar sign, which bash leaves as it is after `~/`.
"""

from __future__ import annotations

_BASH = r"""# bash completion for notarypy, docker-trust and notary, as `notarypy completion bash` prints it
_notarypy() {
    local IFS=$' \t\n' line=${COMP_LINE:0:COMP_POINT} rest piece index
    local kept='' kind='' before='' text quoted opened='' raw='' paths='' current=''
    local -a words
    words=()
    COMPREPLY=()
    # bash breaks words at colons and more: put together what stands together.
    for ((index = 0; index <= COMP_CWORD; index += 1)); do
        piece=${COMP_WORDS[index]}
        rest=${line#"${line%%[![:space:]]*}"}
        ((index == COMP_CWORD)) && piece=$rest
        if ((index > 0)) && [[ $rest == "$line" && -n $piece ]]; then
            words[${#words[@]} - 1]+=$piece
        else
            words+=("$piece")
        fi
        line=${rest#"$piece"}
    done
    current=${words[${#words[@]} - 1]}
    # What stands before the last break stays: bash replaces only what follows it.
    case $current in
    [\'\"]*) opened=yes current=${current:1} ;;
    *)
        rest=${COMP_WORDBREAKS//[^:=@]/}
        [[ -z $rest ]] || kept=${current%"${current##*[$rest]}"}
        ;;
    esac
    while IFS= read -r line; do
        if [[ -z $kind ]]; then
            kind=${line%% *} before=${line#* }
            case $kind in
            files | folders)
                [[ $kind == files ]] && text=-f || text=-d
                paths=$(compgen "$text" -- "${current#"$before"}")
                [[ $paths == *[\$\`]* ]] || { compopt -o filenames 2>/dev/null && raw=yes; } # quoted by bash
                ;;
            open) compopt -o nospace 2>/dev/null ;;
            esac
            continue
        fi
        text=${line%%$'\t'*}
        printf -v quoted %q "$text"
        [[ -n $opened$raw && $quoted != "$text" ]] && continue
        [[ $quoted == "$kept"* ]] && COMPREPLY+=("${quoted#"$kept"}")
    done < <(command notarypy completion bash -- "${words[@]}" 2>/dev/null)
    while IFS= read -r line; do
        [[ -n $line ]] || continue
        if [[ -z $raw ]]; then
            printf -v quoted %q "${line#\~/}"
            [[ $line == \~/* ]] && quoted=\~/$quoted
            [[ -n $opened && $quoted != "$line" ]] && continue
            line=$quoted
        fi
        line=$before$line
        [[ $line == "$kept"* ]] && COMPREPLY+=("${line#"$kept"}")
    done <<<"$paths"
}
complete -F _notarypy notarypy docker-trust notary
"""

_ZSH = r"""#compdef notarypy docker-trust notary
# zsh completion for notarypy, docker-trust and notary, as `notarypy completion zsh` prints it
_notarypy() {
    local line kind before text
    local -a line_words answer proposals more
    line_words=("${(@Q)words[1,CURRENT-1]}" "${(Q)PREFIX}")
    answer=("${(@f)$(command notarypy completion zsh -- "${(@)line_words}" 2>/dev/null)}")
    kind=${answer[1]%% *} before=${answer[1]#* }
    for line in "${(@)answer[2,-1]}"; do
        text=${line%%$'\t'*}
        text=${text//\\/\\\\}
        line=${line#*$'\t'}
        proposals+=("${text//:/\\:}${line:+:$line}")
    done
    [[ $kind == open ]] && more=(-S '')
    ((${#proposals})) && _describe -V notarypy proposals "${(@)more}"
    [[ $kind == (files|folders) ]] || return
    [[ -n $before ]] && compset -P "${(b)before}"
    [[ $kind == folders ]] && more=(-/)
    _files $more
}
if [[ $funcstack[1] == _notarypy ]]; then
    _notarypy "$@"
else
    compdef _notarypy notarypy docker-trust notary
fi
"""

_FISH = r"""# fish completion for notarypy, docker-trust and notary, as `notarypy completion fish` prints it
function __notarypy_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l answer (command notarypy completion fish -- $words "$current" 2>/dev/null)
    set -l kind (string split -m 1 ' ' -- $answer[1])
    for line in $answer[2..]
        printf '%s\n' $line
    end
    set -l typed (string unescape -- "$current"; or string trim -l -c '\'"' -- "$current")
    set -l name (string sub -s (math 1 + (string length -- "$kind[2]")) -- "$typed")
    set -l paths
    switch "$kind[1]"
        case files
            set paths (__fish_complete_path (string replace -r '^~/' "$HOME/" -- "$name"))
        case folders
            set paths (__fish_complete_directories (string replace -r '^~/' "$HOME/" -- "$name"))
    end
    if string match -q '~/*' -- "$name"
        set paths (string replace "$HOME/" '~/' -- $paths)
    end
    for path in $paths
        printf '%s\n' "$kind[2]$path"
    end
end
complete -c notarypy -f -k -a '(__notarypy_complete)'
complete -c docker-trust -f -k -a '(__notarypy_complete)'
complete -c notary -f -k -a '(__notarypy_complete)'
"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
# What each script shows of what a word does.
_ABOUT = {"bash": "", "zsh": "${line:+:$line}", "fish": "printf '%s\\n' $line\n"}


def without_descriptions(shell: str) -> str:
    """Return a script that shows words without what they do."""
    shorter = "printf '%s\\n' (string split -m 1 \\t -- $line)[1]\n" if shell == "fish" else ""
    shown = _ABOUT[shell]
    return SCRIPTS[shell].replace(shown, shorter) if shown else SCRIPTS[shell]
