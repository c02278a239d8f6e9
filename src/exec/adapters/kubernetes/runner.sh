# Runs user code in the code's own container, one command after another, as the agent beside it asks:
#   busybox sh runner PIPES …      PIPES/{request,reply,stdin,stdout,stderr}; busybox lies beside this file
# It is process 1 there. Any image will do: all it needs is the busybox that came with it.
#
# Fields of `request`, each ended by NUL:
#   hello:NONCE     answered at once, between two commands
#   run:NONCE       do what the file PIPES/command says: a script, because a shell reads a pipe byte by byte.
#                   Whoever can write it is trusted: code sees that folder through a mount it can only read
#   kill            anything that comes while code runs ends the code
#   bye             the agent leaves: so do we
# Lines of `reply`:
#   ready NONCE      started NONCE (it reads stdin)      failed NONCE WHY      status NONCE N      ended NONCE
#
# Invariants:
# - Code has the same user, so it may end every process here but this one. This one therefore never waits
#   for something that only another process can tell: it waits for the watcher, and when that is gone,
#   for whatever reason, everything else is killed. Without a status, the code was killed.
# - When no other process is left, NUL NONCE ends stdout and stderr, and `ended` is said. The nonce is in
#   no argument and no variable that code could see.
# - Once all pipes are open the agent takes away the rights to open them (but to write to stdout and
#   stderr, and stdin); the code gets no other end of them. The shell cannot be read and so not be traced:
#   nothing here is reached by /proc either.
# - What is left in /tmp, HOME and /dev/shm goes before the next command. The output is the agent's.

# Names of ours that the image happens to export would be seen by the code, with our values. SHLVL is
# the shell's own.
unset SHLVL
unset varve_box varve_pipes varve_home varve_field varve_nonce varve_folder varve_stdin varve_path
unset varve_program varve_through varve_rest varve_watch varve_tries varve_pid varve_x varve_parent

varve_box=${0%/*}/busybox
varve_pipes=$1
varve_home=${1%/*}/home

connect() {
  exec 3<&- 4>&- 6>&- 7>&-
  until [ -r "$varve_pipes/request" ] && [ -w "$varve_pipes/reply" ] &&
    [ -w "$varve_pipes/stdout" ] && [ -w "$varve_pipes/stderr" ]; do
    "$varve_box" sleep 0.2
  done
  # Each waits until the agent has its end.
  exec 3<"$varve_pipes/request" 4>"$varve_pipes/reply" \
    6>"$varve_pipes/stdout" 7>"$varve_pipes/stderr"
}

# Ends all others. One call of kill reaches them all at once, however fast they fork; then they must be
# gone, and a wait for a child of ours takes the dead ones that were left to us along.
alone() {
  varve_tries=0
  while kill -9 -1 2>/dev/null; set -- /proc/[0-9]*; [ $# -gt 1 ]; do
    varve_tries=$((varve_tries + 1))
    if [ "$varve_tries" -lt 20 ]; then (:); else "$varve_box" sleep 0.02; fi
  done
}

filled() {
  for varve_x in "$1"/* "$1"/.*; do
    case $varve_x in */. | */..) continue ;; esac
    if [ -e "$varve_x" ] || [ -L "$varve_x" ]; then return 0; fi
  done
  return 1
}

# What lies in folders that may not be entered, or deeper than a path may be long, needs more than rm.
empty() {
  varve_tries=0
  while filled "$1"; do
    "$varve_box" find "$1" -mindepth 1 -maxdepth 1 -exec "$varve_box" rm -rf {} +
    filled "$1" || return 0
    "$varve_box" chmod -R u+rwx "$1"
    "$varve_box" find "$1" -mindepth 14 -maxdepth 14 -type d -exec \
      "$varve_box" mv {} "$1/varve-$varve_tries" \; -quit
    varve_tries=$((varve_tries + 1))
    if [ "$varve_tries" -gt 2000 ]; then
      echo "cannot empty $1 for the next datum" >&2
      exit 1
    fi
  done 2>/dev/null
}

clean() {
  empty /tmp
  empty "$varve_home"
  empty /dev/shm
}

# Sets varve_program to what the name means in varve_path, or leaves it as it is.
find_program() {
  varve_program=$1
  case $1 in */*) return ;; esac
  varve_rest=$varve_path:
  while [ -n "$varve_rest" ]; do
    varve_x=${varve_rest%%:*}
    varve_x=${varve_x:-.}/$1
    varve_rest=${varve_rest#*:}
    if [ -f "$varve_x" ] && [ -x "$varve_x" ]; then
      varve_program=$varve_x
      return
    fi
  done
}

# Called by the command, before it names varve_through and varve_program.
look_up() {
  find_program "$1"
  # As it is, it would be taken for one more variable.
  case $varve_program in
  *=*) varve_through="$varve_box nice -n 0" ;;
  *) varve_through= ;;
  esac
}

failed() {
  echo "failed $varve_nonce $1" >&4
  exit 126
}

# Becomes what gives the code its stdin: a named pipe could not be opened again, as /dev/stdin is.
feed() {
  exec <"$varve_pipes/stdin"
  echo "started $varve_nonce" >&4
  exec "$varve_box" cat 3<&- 4>&- 6>&- 7>&-
}

# Becomes the code. Arguments: its variables, the program, its arguments.
become() {
  [ -n "$varve_stdin" ] || exec </dev/null
  if [ -n "$varve_folder" ]; then
    CDPATH= cd "$varve_folder" || failed 'there is no such working folder'
  fi
  case $varve_program in */*) ;; *) failed 'no such program in PATH' ;; esac
  [ -f "$varve_program" ] && [ -x "$varve_program" ] || failed 'it is not an executable file here'
  exec "$varve_box" env -- "$@" >&6 2>&7 3<&- 4>&- 6>&- 7>&-
}

attend() {
  (become "$@")
  echo "status $varve_nonce $?" >&4
  kill -9 "$varve_watch"
}

# A shell lets what it starts in the background ignore SIGINT and SIGQUIT, and waits for everything else
# it starts. So the code's parent is started as the child of a process that it ends at once.
orphan() {
  read -r varve_pid varve_x varve_x varve_parent varve_x </proc/self/stat
  kill -9 "$varve_parent"
  if [ -n "$varve_stdin" ]; then feed | attend "$@"; else attend "$@"; fi
}

run() {
  {
    (IFS= read -r -u 3 -d '' varve_field) &
    varve_watch=$!
    # The second command keeps the outer process from becoming the inner one.
    (
      (orphan "$@")
      :
    )
    wait "$varve_watch"
  } 2>/dev/null
  alone
  {
    printf '\000%s' "$varve_nonce" >&6
    printf '\000%s' "$varve_nonce" >&7
    echo "ended $varve_nonce" >&4
  } 2>/dev/null
  clean
}

clean
connect
while :; do
  # The agent went away: the next one opens the pipes again.
  if ! IFS= read -r -u 3 -d '' varve_field; then
    connect
    continue
  fi
  case $varve_field in
  hello:*) echo "ready ${varve_field#*:}" >&4 2>/dev/null ;;
  run:*)
    varve_nonce=${varve_field#*:}
    varve_folder= varve_stdin= varve_path=$PATH
    . "$varve_pipes/command"
    run "$@"
    ;;
  bye) exit 0 ;;
  esac
done
