"""Completion scripts for bash, zsh and fish, written from the commands.

All three find the command in the same way: by the leading words of the line, since no option comes before it.
"""

import re
from collections.abc import Callable, Iterable

from transformer_mt.cli.tree import Argument, Command, config_keys

_MADE_BY = "# Made by `transformer-mt completion {}`, which says where it goes."

_BASH = r"""
_transformer_mt() {
    local path='' options='' commands='' valued='' kind='' word previous='' number=0 skip=
    local -a words=() positionals=()
    read -ra words <<<"${COMP_LINE:0:COMP_POINT}"  # readline has cut them at each `=`; these are whole
    [[ ${COMP_LINE:0:COMP_POINT} == *[[:space:]] ]] && words+=('')
    local current=${words[${#words[@]} - 1]}
    _transformer_mt_at ''
    for word in "${words[@]:1:${#words[@]}-2}"; do
        if [[ " $commands " == *" $word "* && -z $previous ]]; then
            path=${path:+$path }$word
            _transformer_mt_at "$path"
            continue
        fi
        previous=$word
        if [[ -n $skip ]]; then
            skip=
        elif [[ " $valued " == *" $word "* ]]; then
            skip=1
        elif [[ $word != -* ]]; then
            number=$((number + 1))
        fi
    done
    if [[ -n $skip ]]; then
        _transformer_mt_kind "$path $previous"
    elif [[ $current == -* ]]; then
        kind=$options
    elif [[ -n $commands ]]; then
        kind=$commands
    else
        kind=${positionals[number]:-}
    fi
    COMPREPLY=()
    case $kind in
    FILES) return ;;  # readline completes them
    DIRECTORIES) compopt -o dirnames +o default 2>/dev/null ;;
    KEYS) _transformer_mt_keys "$current" ;;
    *)
        compopt +o default 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -W "$kind" -- "$current")
        ;;
    esac
}

_transformer_mt_keys() {
    compopt +o default 2>/dev/null
    if [[ $1 == *=* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$_transformer_mt_values" -- "$1")
        if [[ $COMP_WORDBREAKS == *=* ]]; then
            COMPREPLY=("${COMPREPLY[@]#*=}")
        fi
    else
        compopt -o nospace 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -S = -W "$_transformer_mt_keys" -- "$1")
    fi
}

complete -o default -F _transformer_mt transformer-mt
"""

_ZSH = r"""
_transformer_mt_set() {
    if [[ $PREFIX == *=* ]]; then
        compadd -- $_transformer_mt_values
    else
        compadd -S '' -- ${^_transformer_mt_keys}=
    fi
}

if [[ $funcstack[1] == _transformer-mt ]]; then
    _transformer_mt "$@"
else
    compdef _transformer_mt transformer-mt
fi
"""

_FISH = r"""
function __transformer_mt_at
    set -l path
    set -l words (commandline -opc)
    for word in $words[2..]
        set -l longer (string trim -- "$path $word")
        contains -- $longer $__transformer_mt_paths; or break
        set path $longer
    end
    test "$path" = "$argv[1]"
end

function __transformer_mt_set
    if string match -q '*=*' -- (commandline -ct)
        printf '%s\n' $__transformer_mt_values
    else
        printf '%s=\n' $__transformer_mt_keys
    end
end
"""


def bash_script(tree: Command) -> str:
    """The script for bash 4.4 or newer."""
    lines = [_MADE_BY.format("bash"), f"_transformer_mt_keys='{' '.join(config_keys())}'"]
    lines += [f"_transformer_mt_values='{' '.join(_settings())}'", "", "_transformer_mt_at() {", "    case $1 in"]
    for command in tree.walk():
        options = [argument for argument in command.arguments if argument.names]
        kinds = [_bash_kind(argument) for argument in command.arguments if not argument.names]
        lines += [
            f"    '{' '.join(command.words)}')",
            f"        options='{_joined(options)}'",
            f"        valued='{_joined(option for option in options if option.metavar)}'",
            f"        commands='{' '.join(part.words[-1] for part in command.commands)}'",
            f"        positionals=({' '.join(_quoted(kind) for kind in kinds)})",
            "        ;;",
        ]
    lines += ["    esac", "}", "", "_transformer_mt_kind() {", "    case $1 in"]
    for command in tree.walk():
        for option in command.arguments:
            for name in option.names if option.metavar else ():
                lines.append(f"    {_quoted(' '.join((*command.words, name)))}) kind={_quoted(_bash_kind(option))} ;;")
    return "\n".join([*lines, "    esac", "}"]) + "\n" + _BASH


def zsh_script(tree: Command) -> str:
    """The script for zsh, to be a file `_transformer-mt` in a directory of $fpath, or to be sourced."""
    lines = ["#compdef transformer-mt", _MADE_BY.format("zsh")]
    lines += [f"_transformer_mt_keys=({' '.join(config_keys())})", f"_transformer_mt_values=({' '.join(_settings())})"]
    for command in tree.walk():
        name = "_".join(("_transformer_mt", *command.words)).replace("-", "_")
        lines += ["", f"{name}() {{", "    local curcontext=$curcontext state line", "    _arguments -C -s \\"]
        lines += [f"        {_quoted(spec)} \\" for argument in command.arguments for spec in _zsh_specs(argument)]
        if command.commands:
            named = " ".join(f'{part.words[-1]}\\:"{_zsh_text(part.summary)}"' for part in command.commands)
            lines += [f"        {_quoted(f'1:command:(({named}))')} \\", "        '*:: :->part' && return"]
            lines += ["    [[ $state == part ]] || return 1", "    case $words[1] in"]
            for part in command.commands:
                lines.append(f"    {part.words[-1]}) {name}_{part.words[-1].replace('-', '_')} ;;")
            lines.append("    esac")
        else:
            lines.append("        && return")
        lines.append("}")
    return "\n".join(lines) + "\n" + _ZSH


def fish_script(tree: Command) -> str:
    """The script for fish 3 or newer."""
    paths = " ".join(_quoted(" ".join(command.words)) for command in tree.walk() if command.words)
    lines = [_MADE_BY.format("fish"), f"set -g __transformer_mt_paths {paths}"]
    lines += [f"set -g __transformer_mt_keys {' '.join(config_keys())}"]
    lines += [f"set -g __transformer_mt_values {' '.join(_settings())}", _FISH, "complete -c transformer-mt -e"]
    for command in tree.walk():
        start = f"complete -c transformer-mt -n {_quoted('__transformer_mt_at ' + _quoted(' '.join(command.words)))}"
        for part in command.commands:
            lines.append(f"{start} -f -a {part.words[-1]} -d {_fish_quoted(part.summary)}")
        for argument in command.arguments:
            what = [f"-{'l' if name.startswith('--') else 's'} {name.lstrip('-')}" for name in argument.names]
            lines.append(" ".join([start, *what, _fish_values(argument), f"-d {_fish_quoted(argument.help)}"]))
    return "\n".join(lines) + "\n"


SCRIPTS: dict[str, Callable[[Command], str]] = {"bash": bash_script, "zsh": zsh_script, "fish": fish_script}


def _settings() -> list[str]:
    """Every `section.key=value` whose value is a word."""
    return [f"{key}={value}" for key, values in config_keys().items() for value in values]


def _joined(options: Iterable[Argument]) -> str:
    return " ".join(name for option in options for name in option.names)


def _bash_kind(argument: Argument) -> str:
    return " ".join(argument.words) if argument.kind == "words" else argument.kind.upper().replace("OTHER", "")


def _zsh_specs(argument: Argument) -> list[str]:
    values = {"files": "_files", "directories": "_path_files -/", "keys": "_transformer_mt_set", "other": " "}
    action = f"({' '.join(argument.words)})" if argument.kind == "words" else values.get(argument.kind, "")
    value = f":{argument.metavar.lower()}:{action}" if argument.metavar else ""
    if not argument.names:
        return [value if argument.is_required else f":{value}"]
    times = "*" if argument.is_repeated else f"({' '.join(argument.names)})"
    return [f"{times}{name}[{_zsh_text(argument.help)}]{value}" for name in argument.names]


def _zsh_text(text: str) -> str:
    return re.sub(r"([\[\]:\\\"$`])", r"\\\1", text)


def _fish_values(argument: Argument) -> str:
    kinds = {"flag": "", "files": "-rF", "directories": "-xa '(__fish_complete_directories)'", "other": "-x"}
    if not argument.names:
        kinds |= {"files": "-F", "directories": "-fa '(__fish_complete_directories)'", "other": "-f"}
    if argument.kind == "keys":
        return "-xa '(__transformer_mt_set)'"
    if argument.kind == "words":
        return f"{'-x' if argument.names else '-f'} -a {_quoted(' '.join(argument.words))}"
    return kinds[argument.kind]


def _quoted(text: str) -> str:
    """For a POSIX shell, and for fish where there is neither a quote nor a backslash in it."""
    return "'" + text.replace("'", "'\\''") + "'"


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
