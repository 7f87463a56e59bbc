"""The completion of the installed command `governed-finetune` in bash and zsh.

    eval "$(governed-finetune --completion bash)"

Commands and parameters are in the script. The options of a command are read from its --help when
they are needed, which imports no SDK, so they are never those of another version.
"""

from collections.abc import Iterable

SHELLS = ("bash", "zsh")
PROGRAM = "governed-finetune"
_SCRIPT = r"""_governed_finetune() {
  local current="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}" verb=""
  local commands="@COMMANDS@" verbs="@VERBS@"
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "$commands --version --completion --help" -- "$current"))
    return
  fi
  if [ "${COMP_WORDS[1]}" = local ]; then
    if [ "$COMP_CWORD" -eq 2 ]; then
      COMPREPLY=($(compgen -W "$verbs" -- "$current"))
      return
    fi
    verb="${COMP_WORDS[2]}"
  fi
  case "$before" in
    --set) compopt -o nospace 2>/dev/null
      COMPREPLY=($(compgen -S = -W "@PARAMETERS@" -- "$current")); return ;;
    --env) COMPREPLY=($(compgen -W "@ENVIRONMENTS@" -- "$current")); return ;;
  esac
  case "$current" in
    -*) COMPREPLY=($(compgen -W "$(@PROGRAM@ "${COMP_WORDS[1]}" $verb --help 2>/dev/null \
          | grep -oE -e '--[a-z][a-z-]+' | sort -u)" -- "$current")) ;;
    *) COMPREPLY=($(compgen -f -- "$current")) ;;
  esac
}
complete -F _governed_finetune @PROGRAM@
"""
_ZSH = "autoload -U +X bashcompinit && bashcompinit\n"


def script(
    shell: str,
    *,
    commands: Iterable[str],
    verbs: Iterable[str],
    parameters: Iterable[str],
    environments: Iterable[str],
) -> str:
    """Return the script for a shell to evaluate."""
    words = {
        "@COMMANDS@": commands,
        "@VERBS@": verbs,
        "@PARAMETERS@": parameters,
        "@ENVIRONMENTS@": environments,
    }
    text = _SCRIPT.replace("@PROGRAM@", PROGRAM)
    for name, values in words.items():
        text = text.replace(name, " ".join(values))
    return (_ZSH if shell == "zsh" else "") + text
