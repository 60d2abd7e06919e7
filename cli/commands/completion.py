"""`bundle completion bash|zsh|fish`"""

from __future__ import annotations

import click

from .. import console

# click's own script hands on the words as bash splits them, `iris`, `:` and `6f`, so that no tag completes.
_BASH = """\
%(complete_func)s() {
    local IFS=$'\\n' line=$COMP_LINE words=() last=-1 before="" i word space kind value
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        space=${line%%%%[![:space:]]*}
        line=${line#"$space"}
        line=${line#"$word"}
        if [[ $last -lt 0 || -n $space ]]; then
            words[++last]=$word
            before=""
        else
            before=${words[last]}
            words[last]+=$word
        fi
        # After a colon bash completes what comes behind it.
        [[ $word == [:=] ]] && before=${words[last]}
    done
    COMPREPLY=()
    while IFS=, read -r kind value; do
        case $kind in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("${value#"$before"}") ;;
        esac
    done < <(COMP_WORDS="${words[*]}" COMP_CWORD=$last %(complete_var)s=bash_complete "$1")
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""


@click.command(epilog='For bash, in ~/.bashrc:  eval "$(bundle completion bash)"')
@click.argument("shell", metavar="SHELL", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script of SHELL (bash, zsh or fish); source it in the shell's start-up file."""
    from click.shell_completion import get_completion_class

    root = ctx.find_root()
    # `python -m tiffin` is three words, which no shell completes by; the installed command is.
    program = root.info_name if root.info_name and " " not in root.info_name else "bundle"
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"click has no completion for {shell}", ctx)
    variable = f"_{program.replace('-', '_').replace('.', '_').upper()}_COMPLETE"
    script = kind(root.command, {}, program, variable)
    # Not bash's own `source`: it starts a bash to see its version, which may not be the one that is meant.
    console.say((_BASH if shell == "bash" else script.source_template) % script.source_vars())
