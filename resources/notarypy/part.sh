#!/bin/sh
# What a step of a pipeline does with notarypy, on every CI system: install it, sign, verify. docs/ci.md has the variables.
# What it is told are variables that begin with IN_; no value is ever part of this text. It is for any POSIX shell, and
# stands word for word in templates/, tekton/ and azure/, whose systems fetch no other file. Backquotes, because some of
# them read a name in parentheses behind a dollar as their own.
notarypy_part() (
  set -euf
  umask 077
  fail() { echo "notarypy: this step cannot run: $1" >&2 && exit 2; }

  # A folder for this step alone, with the keys and the trust data of it; it goes when the step ends.
  base=${RUNNER_TEMP:-${AGENT_TEMPDIRECTORY:-${TMPDIR:-/tmp}}}
  work=`mktemp -d "$base/notarypy.XXXXXXXX"`
  trap 'rm -rf "$work"' EXIT
  trap 'exit 129' HUP && trap 'exit 130' INT && trap 'exit 143' TERM

  # Into an environment of its own in $1. What a package runs while it is installed sees none of these.
  install() {
    found=`cat "$1/package" 2>/dev/null` || found=
    if [ "$found" != "$IN_PACKAGE" ]; then
      rm -rf "$1"
      (
        unset IN_KEY IN_PASSPHRASE IN_PASSPHRASE_FILE DOCKER_AUTH_CONFIG NOTARY_AUTH
        unset VAULT_TOKEN AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN
        unset DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE
        python3 -m venv "$1"
        "$1/bin/python" -m pip install --quiet --disable-pip-version-check -- "$IN_PACKAGE"
      ) >&2
      printf '%s' "$IN_PACKAGE" > "$1/package"
    fi
    PATH=$1/bin:$PATH
    case ${IN_SYSTEM-} in
      github) printf '%s\n' "$1/bin" >> "$GITHUB_PATH" ;;
      azure) printf '##vso[task.prependpath]%s\n' "$1/bin" ;;
    esac
  }

  # notarypy, with what goes to all of its commands. What servers and names say must not be read as commands to the runner.
  ours() {
    code=0
    notarypy ${config:+--config "$config"} ${IN_SERVER:+--server "$IN_SERVER"} ${IN_CA:+--tlscacert "$IN_CA"} \
      ${trust:+--trust-dir "$trust"} "$@" > "$work/printed" 2> "$work/said" || code=$?
    sed 's/##/# #/g; s/^\( *\)::/\1: :/' "$work/said" >&2
    return "$code"
  }

  load_key() {
    name=${IN_SIGNER:-ci}
    case $IN_KEY in
      *-----BEGIN*) printf '%s\n' "$IN_KEY" | ours key load --name "$name" - ;;
      pkcs11:* | *://*) ours key add --name "$name" -- "$IN_KEY" ;;
      *) ours key load --name "$name" -- "$IN_KEY" ;;
    esac
    unset IN_KEY
  }

  # The images by digest, for the steps behind this one.
  report() {
    images=
    while read -r image; do
      case $image in
        *@sha256:*) images="$images${images:+ }$image" ;;
        *) fail "notarypy printed no image by digest; leave --json and the like out of the arguments" ;;
      esac
    done < "$work/printed"
    case ${IN_SYSTEM-} in
      github) printf 'image=%s\nimages=%s\n' "${images%% *}" "$images" >> "$GITHUB_OUTPUT" ;;
      gitlab) printf 'NOTARYPY_IMAGE=%s\nNOTARYPY_IMAGES=%s\n' "${images%% *}" "$images" > "$IN_OUTPUT" ;;
      tekton) printf '%s' "${images%% *}" > "$IN_OUTPUT" && printf '%s' "$images" > "$IN_OUTPUTS" ;;
      azure)
        printf '##vso[task.setvariable variable=image;isOutput=true]%s\n' "${images%% *}"
        printf '##vso[task.setvariable variable=images;isOutput=true]%s\n' "$images"
        ;;
    esac
    cat "$work/printed"
  }

  mode=${IN_MODE-}
  if [ -n "${IN_PACKAGE-}" ]; then
    home=${IN_HOME:-$work/home}
    if [ "$mode" = install ] && [ -z "${IN_HOME-}" ]; then home=`mktemp -d "$base/notarypy.XXXXXXXX"`; fi
    install "$home"
  fi
  command -v notarypy > /dev/null || fail "no notarypy is on the PATH, and no package to install is named"
  case $mode in
    install)
      dirname "`command -v notarypy`"
      exit
      ;;
    sign | verify) ;;
    *) fail "the mode is install, sign or verify" ;;
  esac

  [ -n "${IN_REFS-}" ] || fail "no image is named in refs"
  case ${IN_KEY-}:${IN_PASSPHRASE-} in \$\(*\):* | *:\$\(*\)) fail "the key or the passphrase is a variable without a value" ;; esac
  trust=${IN_TRUST_DIR-} config=${IN_CONFIG-}
  # A verification service has a trust directory of its own, and is not asked where another is named.
  if [ -z "$trust" ] && { [ "$mode" = sign ] || [ -z "${NOTARYPY_SERVICE-}" ]; }; then trust=$work/trust; fi
  if [ -n "${IN_ROOT-}" ]; then
    [ -z "$config" ] || fail "root pins stand in the configuration file where there is one"
    config=$work/config.toml
    printf '[registry."*"]\nroot = [' > "$config"
    for pin in $IN_ROOT; do
      case $pin in *[!0-9a-f]*) fail "a root pin has hexadecimal digits alone" ;; esac
      printf '"%s", ' "$pin" >> "$config"
    done
    printf ']\n' >> "$config"
  fi
  if [ -n "${IN_PASSPHRASE-}" ]; then
    DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE=$IN_PASSPHRASE
    export DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE
  elif [ -n "${IN_PASSPHRASE_FILE-}" ]; then
    DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE_FILE=$IN_PASSPHRASE_FILE
    export DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE_FILE
  fi
  unset IN_PASSPHRASE
  [ "$mode" = verify ] || [ -z "${IN_KEY-}" ] || load_key

  # The words behind the command: signers, arguments of the user, one a line, and the images.
  set --
  if [ "$mode" = verify ]; then
    for signer in ${IN_SIGNER-}; do set -- "$@" --signer "$signer"; done
  else
    set -- ${IN_SIGNER:+--signer "$IN_SIGNER"} ${IN_DIGEST_FILE:+--digest-file "$IN_DIGEST_FILE"}
  fi
  IFS='
'
  for word in ${IN_ARGUMENTS-}; do set -- "$@" "$word"; done
  unset IFS
  set -- "$@" --
  for ref in $IN_REFS; do set -- "$@" "$ref"; done
  ours "$mode" "$@"
  if [ "$mode" = sign ]; then
    sed 's/##/# #/g; s/^\( *\)::/\1: :/' "$work/printed" >&2
    # What was published is read back, whatever the registry serves by now.
    ours verify --no-registry ${IN_SIGNER:+--signer "$IN_SIGNER"} -- $IN_REFS
  fi
  report
)
notarypy_part
