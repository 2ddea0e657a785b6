#!/bin/sh
# What a step of a pipeline does with notarypy, on every CI system: install it, sign, verify. docs/ci.md has the variables.
# What it is told are variables that begin with IN_; no value is ever part of this text. It is for any POSIX shell, and
# stands word for word in templates/, tekton/ and azure/, whose systems fetch no other file. Backquotes, because some of
# them read a name in parentheses behind a dollar as their own. Whatever can fail says `|| exit`: where the function is
# called in a condition, as in `notarypy_step && deploy`, a shell forgets `set -e` in all of it.
notarypy_behind() {
  set -euf
  umask 077
  fail() {
    echo "notarypy: this step cannot run: $1" >&2
    exit 2
  }

  # A folder for this step alone, with the keys and the trust data of it; it goes when the step ends.
  base=${RUNNER_TEMP:-${AGENT_TEMPDIRECTORY:-${TMPDIR:-/tmp}}}
  work='' child=''
  trap 'rm -rf "$work"' EXIT
  # All three, since systems signal the whole group, too, and dash does nothing on EXIT when a signal ends it.
  trap 'trap "" HUP INT TERM; [ -z "$child" ] || kill "$child" 2> /dev/null || :; wait; exit 143' HUP INT TERM
  work=`mktemp -d "$base/notarypy.XXXXXXXX"` || exit
  exec 3< /dev/null
  run() {
    "$@" <&3 &
    child=$!
    wait "$child"
  }

  # A new folder for what outlives the step, in one of the job. What other jobs left there goes, and is never used.
  lasting() {
    place=${WORKSPACE_TMP:-${CI_PROJECT_DIR:+$CI_PROJECT_DIR.tmp}}
    job=notarypy-${BUILD_NUMBER-}${CI_JOB_ID-}
    if [ -n "$place" ] && mkdir -p "$place" && [ -w "$place" ]; then
      find "$place/" -maxdepth 1 -name 'notarypy-*' ! -name "$job.*" -exec rm -rf {} + || exit
    else
      place=$base
    fi
    home=`mktemp -d "$place/$job.XXXXXXXX"` || exit
  }

  # pip of $1, without what the job has in its environment but what pip and git need. -I: no module of the job's folder.
  bare_pip() {
    for name in `env | LC_ALL=C sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/\1/p'`; do
      case $name in
        PATH | HOME | TMPDIR | LANG | LC_ALL | LD_LIBRARY_PATH | XDG_*_HOME | SHELLOPTS | BASHOPTS) ;;
        PIP_* | GIT_* | SSH_AUTH_SOCK | NETRC | *_proxy | *_PROXY | SSL_CERT_FILE | SSL_CERT_DIR | *_CA_BUNDLE) ;;
        *) unset "$name" ;;
      esac
    done
    python=$1/bin/python && shift
    exec "$python" -I -m pip install --quiet --disable-pip-version-check "$@" >&2
  }

  # Into an environment of its own in $1; an older one there goes, and nothing else ever does. A checkout in IN_SOURCE has
  # the digests of what it needs, and of what builds it.
  install() {
    found=`cat "$1/package" 2>/dev/null` || found=
    case $found in "$IN_PACKAGE" | "$IN_PACKAGE["*) ;; *) found= ;; esac # the same with extras is as good
    if [ -z "$found" ]; then
      [ ! -e "$1/pyvenv.cfg" ] || rm -rf "$1" || exit
      run python3 -I -m venv "$1" >&2 || exit
      if [ -n "${IN_SOURCE-}" ]; then
        run bare_pip "$1" --require-hashes --only-binary :all: \
          -r "$IN_SOURCE/scripts/cli-packages.txt" -r "$IN_SOURCE/scripts/image-build.txt" || exit
      fi
      run bare_pip "$1" ${IN_SOURCE:+--no-build-isolation} -- "$IN_PACKAGE" || exit
      printf '%s' "$IN_PACKAGE" > "$1/package" || exit
    fi
    PATH=$1/bin:$PATH
    case ${IN_SYSTEM-} in
      github) printf '%s\n' "$1/bin" >> "$GITHUB_PATH" || exit ;;
      azure) printf '##vso[task.prependpath]%s\n' "$1/bin" ;;
    esac
  }

  # What servers and names say must not be read as commands to the runner: some look for theirs anywhere in a line.
  shown() { LC_ALL=C tr '\r' '\n' < "$1" | LC_ALL=C sed -e :a -e 's/##/# #/' -e ta -e 's/^\([^!-~]*\)::/\1: :/'; }

  # notarypy, with what goes to all of its commands.
  ours() {
    code=0
    run notarypy ${config:+--config "$config"} ${IN_SERVER:+--server "$IN_SERVER"} ${IN_CA:+--tlscacert "$IN_CA"} \
      ${trust:+--trust-dir "$trust"} "$@" > "$work/printed" 2> "$work/said" || code=$?
    shown "$work/said" >&2
    [ "$code" = 0 ] || shown "$work/printed" >&2 # what it did before it failed
    return "$code"
  }

  load_key() {
    name=${IN_SIGNER:-ci}
    case $IN_KEY in
      *-----BEGIN*)
        ours key load --name "$name" - 3<< KEY || exit
$IN_KEY
KEY
        ;;
      pkcs11:* | *://*) ours key add --name "$name" -- "$IN_KEY" || exit ;;
      *) ours key load --name "$name" -- "$IN_KEY" || exit ;;
    esac
    unset IN_KEY
  }

  # The images by digest, for the steps behind this one.
  report() {
    images=
    while read -r image; do
      case $image in
        *[!][A-Za-z0-9._:/@-]*) images= && break ;;
        *@sha256:*) images="$images${images:+ }$image" ;;
        *) images= && break ;;
      esac
      case "$mode $signed" in verify* | *" ${image##*@} "*) ;; *) fail "${image##*@} is published, and not what this step signed" ;; esac
    done < "$work/printed"
    [ -n "$images" ] || fail "notarypy printed no image by digest; leave --json and the like out of the arguments"
    for digest in $signed; do
      case "$images " in *"@$digest "*) ;; *) fail "an image was signed, and not read back" ;; esac
    done
    case ${IN_SYSTEM-} in
      github) printf 'image=%s\nimages=%s\n' "${images%% *}" "$images" >> "$GITHUB_OUTPUT" || exit ;;
      gitlab) printf 'NOTARYPY_IMAGE=%s\nNOTARYPY_IMAGES=%s\n' "${images%% *}" "$images" > "$IN_OUTPUT" || exit ;;
      tekton) printf '%s' "${images%% *}" > "$IN_OUTPUT" && printf '%s' "$images" > "$IN_OUTPUTS" || exit ;;
      azure)
        printf '##vso[task.setvariable variable=image;isOutput=true]%s\n' "${images%% *}"
        printf '##vso[task.setvariable variable=images;isOutput=true]%s\n' "$images"
        ;;
    esac
    shown "$work/printed"
  }

  mode=${IN_MODE-}
  if [ -n "${IN_PACKAGE-}" ]; then
    home=${IN_HOME:-$work/home}
    if [ "$mode" = install ] && [ -z "${IN_HOME-}" ]; then lasting; fi
    install "$home"
  fi
  command -v notarypy > /dev/null || fail "no notarypy is on the PATH, and no package to install is named"
  case $mode in
    install)
      [ "${IN_SYSTEM-}" != tekton ] || fail "a step of Tekton ends with its container, so nothing can be installed for another"
      dirname "`command -v notarypy`"
      exit
      ;;
    sign | verify) ;;
    *) fail "the mode is install, sign or verify" ;;
  esac

  IN_REFS=`printf '%s' "${IN_REFS-}" | tr -d '\r'` IN_ARGUMENTS=`printf '%s' "${IN_ARGUMENTS-}" | tr -d '\r'`
  [ -n "$IN_REFS" ] || fail "no image is named in refs"
  for value in "${IN_KEY-}" "${IN_PASSPHRASE-}" "${IN_PASSPHRASE_FILE-}" "${IN_TRUST_DIR-}" "${IN_DIGEST_FILE-}" "${IN_CA-}" "${IN_CONFIG-}"; do
    case $value in \$\(*\)) fail "the key, the passphrase or another input is a variable without a value" ;; esac
  done
  trust=${IN_TRUST_DIR-} config=${IN_CONFIG-}
  # A verification service has a trust directory of its own, and is not asked where another is named.
  if [ -z "$trust" ] && { [ "$mode" = sign ] || [ -z "${NOTARYPY_SERVICE-}" ]; }; then trust=$work/trust; fi
  if [ -n "${IN_ROOT-}" ]; then
    [ -z "$config" ] || fail "root pins stand in the configuration file where there is one"
    config=$work/config.toml pins=
    for pin in `printf '%s' "$IN_ROOT" | tr -d '\r' | tr A-F a-f`; do
      case $pin in *[!0-9a-f]*) fail "a root pin has hexadecimal digits alone" ;; esac
      pins="$pins\"$pin\", "
    done
    [ -n "$pins" ] || fail "no root pin is named in root"
    printf '[registry."*"]\nroot = [%s]\n' "$pins" > "$config" || exit
  fi
  if [ -n "${IN_PASSPHRASE-}" ]; then
    DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE=$IN_PASSPHRASE
    export DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE
  elif [ -n "${IN_PASSPHRASE_FILE-}" ]; then
    DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE_FILE=$IN_PASSPHRASE_FILE
    export DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE_FILE
  fi
  unset IN_PASSPHRASE

  # The words behind the command: signers, arguments of the user, one a line, and the images. What signs is refused here
  # what would sign and then fail. Of its words `both` has those that go to what reads back, too.
  both='' skip=''
  set --
  if [ "$mode" = verify ]; then
    for signer in ${IN_SIGNER-}; do set -- "$@" --signer "$signer"; done
  else
    set -- ${IN_SIGNER:+--signer "$IN_SIGNER"} ${IN_DIGEST_FILE:+--digest-file "$IN_DIGEST_FILE"}
  fi
  IFS='
'
  for word in $IN_ARGUMENTS; do
    set -- "$@" "$word"
    case $word in
      --json) fail "it reads lines, and no JSON: leave --json out of the arguments" ;;
      --config* | -c*) [ -z "${IN_ROOT-}" ] || fail "root pins stand in the configuration file where there is one" ;;
    esac
    case $mode:$skip$word in
      verify:*) ;;
      sign:--dry-run) fail "--dry-run publishes nothing, and a step that signs hands on what is published" ;;
      sign:--offline-part* | sign:--join) fail "it signs images, and no files: run notarypy itself, behind the mode install" ;;
      sign:--trust-dir* | sign:-d*) fail "the key goes where the input trust-dir says: name it there, and not in the arguments" ;;
      sign:--init) [ "$trust" != "$work/trust" ] || fail "--init makes keys, which would be gone with the step: name trust-dir" ;;
      sign:--local | sign:--discard-unverified | sign:--custom=* | sign:--digest-file=* | sign:--push=*) ;;
      sign:--custom | sign:--digest-file | sign:--push) skip='of ' && continue ;;
      sign:of\ *) ;;
      *) both="$both$word$IFS" ;;
    esac
    skip=
  done
  unset IFS
  set -- "$@" --
  for ref in $IN_REFS; do set -- "$@" "$ref"; done
  if [ "$mode" = sign ]; then
    if [ -n "${IN_KEY-}" ]; then
      load_key
    elif [ "$trust" = "$work/trust" ]; then
      fail "no key: the input key is empty, as a secret is that this job does not get, and no trust-dir is named"
    fi
  fi
  ours "$mode" "$@" || exit
  signed=' '
  if [ "$mode" = sign ]; then
    shown "$work/printed" >&2
    while read -r first second third fourth rest; do
      case $first:$second in signed:*) signed="$signed$third " ;; already:signed) signed="$signed$fourth " ;; esac
    done < "$work/printed"
    [ "$signed" != ' ' ] || fail "notarypy named no image that it signed; leave --help and the like out of the arguments"
    # What was published is read back, from the same server, whatever the registry serves by now.
    IFS='
'
    set -- $both
    unset IFS
    ours verify --no-registry ${IN_SIGNER:+--signer "$IN_SIGNER"} "$@" -- $IN_REFS || exit
  fi
  report
}
# Systems that cancel a step signal this shell alone, and a shell hears nothing while it waits for a program in front: so
# all runs behind, and signals are handed on.
notarypy_step() {
  notarypy_code=0 notarypy_child='' notarypy_cancelled=''
  notarypy_traps=`trap -p HUP INT TERM 2> /dev/null` || notarypy_traps='' # which bash knows alone
  trap 'notarypy_cancelled=1; kill "$notarypy_child" 2> /dev/null || :' HUP INT TERM
  notarypy_behind &
  notarypy_child=$!
  [ -z "$notarypy_cancelled" ] || kill "$notarypy_child" 2> /dev/null || :
  wait "$notarypy_child" || notarypy_code=$?
  while kill -0 "$notarypy_child" 2> /dev/null; do wait "$notarypy_child" || notarypy_code=$?; done
  trap - HUP INT TERM
  eval "$notarypy_traps"
  [ -z "$notarypy_cancelled" ] || exit "$notarypy_code"
  return "$notarypy_code"
}
notarypy_step
