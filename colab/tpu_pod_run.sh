# The run on the hosts, and what is done until it is finished: functions of tpu_pod.sh.
#
# shellcheck shell=bash
# shellcheck disable=SC2154 # tpu_pod.sh sets the options.
# shellcheck disable=SC2016 # What hosts are told is theirs to expand.

grace=10   # questions after which a slice whose run has failed is not being taken away
silence=20 # questions in a row that may stay without an answer

# On each host the system holds a lock as long as a process of the run lives. Then the host says
# `runs`, or `runs another` of another command; otherwise `ended STATUS`, `stopped` or `idle`.
train=$(printf '%q ' .venv/bin/python -m "$module" "--config=$config" "--workdir=$workdir")

ask() {
  local text="cd promptax && mine=${train@Q}"' && say=idle'
  text+='; if [ -e train.status ]; then say="ended $(cat train.status)"; fi'
  text+='; if [ -e train.stopped ]; then say=stopped; fi'
  text+='; if ! flock -n train.lock true; then say=runs'
  text+='; [ "$(cat train.command)" = "$mine" ] || say="runs another"; fi'
  on all "$text"'; echo "pod: $(hostname) $say"'
}

start() { # ends with 3 where a run goes on
  said=$(ask) || {
    printf '%s\n' "$said"
    return 1
  }
  printf '%s\n' "$said"
  if [[ $said == *$'\n'"pod: "*" runs"* ]]; then return 3; fi
  local text="cd promptax || exit; exec 9> train.lock; flock -n 9 || exit 75"
  text+="; printf '%s\n' ${train@Q} > train.command; rm -f train.status train.stopped train.pid"
  # Nothing of the run holds the connection open.
  text+="; exec > /dev/null 2>&1; true && (setsid nohup ${train}>> train.log 2>&1 < /dev/null &"
  on all "$text"' echo $! > train.pid; wait $!; echo $? > train.status) &'
}

run() {
  local said="" status=0
  start || status=$?
  case "$status" in
    0) ;;
    3) fail "$name has a run that goes on and is left alone: follow shows it, stop ends it." 1 ;;
    *) fail "the hosts of $name do not answer: is it there (state), and installed (install)?" 1 ;;
  esac
}

make_again() {
  delete && create && wait_for_it && install && run
}

stop() {
  local text='cd promptax && if flock -n train.lock true; then say="no run goes on"'
  text+='; else touch train.stopped; kill -TERM "$(cat train.pid)"; say=stopped; fi'
  text+='; flock -w 600 train.lock true || say="does not stop"'
  on all "$text"'; echo "$(hostname): $say"; [ "$say" != "does not stop" ]'
}

# ---- Until the run is finished: what the slice says, then what its hosts say.
run_and_retry() {
  local now="" said="" status=0 started=true made=0 failed=0 silent=0
  if "$dry"; then # With the commands of one preemption.
    run && state && make_again
    return
  fi
  start || status=$?
  if ((status == 3)) && [[ $said != *" runs another"* ]]; then
    printf 'pod: this run goes on already; staying with it\n'
  elif ((status)); then
    run # It says what is wrong, or starts what could not be started a moment ago.
  fi
  while true; do
    sleep "$poll"
    now=$(state 2>&1) || true
    case "${now##*$'\n'}" in
      *ACTIVE | *READY) if "$started"; then heed; else start_again; fi ;;
      *SUSPENDED | *PREEMPTED | *TERMINATED | *FAILED) replace ;;
      *STOPPED) fail "$name was stopped, so the run is not started again." 1 ;;
      *)
        if [[ $now != *NOT_FOUND* ]]; then
          unanswered "${now##*$'\n'}"
        elif "$started"; then
          fail "$name was deleted, so the run is not started again." 1
        else
          replace
        fi
        ;;
    esac
  done
}

replace() { # the slice that was taken away
  count_one
  started=false
  printf 'pod: %s was taken away; making it again, %d of %d\n' "$name" "$made" "$retries"
  if [[ $now != *NOT_FOUND* ]]; then delete || return 0; fi
  create || true
}

start_again() { # on a slice that is there again, or still
  if install && start; then started=true; else unanswered "the new hosts do not answer"; fi
}

heed() { # what the hosts say of the run
  said=$(ask 2>&1 | grep '^pod: ') || {
    unanswered "the hosts do not answer"
    return
  }
  silent=0
  if [[ $said == *" runs"* ]]; then
    failed=0
  elif [[ $said == *" stopped"* ]]; then
    fail "the run was stopped, so it is not started again." 1
  elif ! grep -qv ' ended 0$' <<< "$said"; then
    printf '%s\npod: the run is finished\n' "$said"
    exit 0
  elif ((++failed >= grace)); then # Nobody has taken the slice away.
    printf '%s\n' "$said"
    if grep -Eqv ' (idle|ended (0|143))$' <<< "$said"; then
      fail "the run failed on a slice that is there: watch shows why." 1
    fi
    count_one
    start_again
  fi
}

count_one() {
  ((made < retries)) || fail "the run was started again $made times: --retry=N allows more." 1
  made=$((made + 1)) failed=0 silent=0
}

unanswered() { # WHAT WAS SAID
  case "$1" in
    *ING | *ACCEPTED | *WAITING_FOR_RESOURCES) silent=0 ;;
    *)
      ((++silent < silence)) ||
        fail "$name has not answered $silence times (${1:0:200}): the same command stays with it." 1
      ;;
  esac
}
