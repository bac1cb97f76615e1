# The slice and its hosts: functions of tpu_pod.sh, which has checked all that they use.
#
# shellcheck shell=bash
# shellcheck disable=SC2154 # tpu_pod.sh sets the options.
# shellcheck disable=SC2016 # What hosts are told is theirs to expand.

poll=30 # seconds between two questions

# ---- The commands. Everything that talks to Google goes through here.
execute() {
  local word shown=()
  for word in "$@"; do
    if [[ $word == *[!-._/:=@a-zA-Z0-9]* ]]; then word=${word@Q}; fi
    shown+=("$word")
  done
  printf '%s\n' "${shown[*]}"
  "$dry" || "$@"
}

tpus() { # GROUP VERB ARGUMENTS...
  local group=$1 verb=$2
  shift 2
  execute gcloud compute tpus "$group" "$verb" "$@" "--zone=$zone" \
    ${project:+"--project=$project"} "${wide[@]}"
}

on() { # WORKER COMMAND
  tpus tpu-vm ssh "$name" "${login[@]}" "${ssh[@]}" "--worker=$1" "--command=$2" --quiet
}

copy() { # FROM TO ARGUMENTS...
  tpus tpu-vm scp "$@" "${login[@]}" "${scp[@]}" --quiet
}

# ---- The slice.
create() {
  local tier=()
  if "$spot"; then tier=(--spot); fi
  if "$direct"; then
    tpus tpu-vm create "$name" "--accelerator-type=$type" "--version=$runtime" "${tier[@]}" \
      "${creation[@]}"
  else
    tpus queued-resources create "$name" "--node-id=$name" "--accelerator-type=$type" \
      "--runtime-version=$runtime" "${tier[@]}" "${creation[@]}"
  fi
}

state() {
  if "$direct"; then
    tpus tpu-vm describe "$name" "--format=value(state)"
  else
    tpus queued-resources describe "$name" "--format=value(state.state)"
  fi
}

wait_for_it() {
  local now
  while true; do
    now=$(state) || return
    printf '%s\n' "$now"
    case "$now" in
      *ACTIVE | *READY) return ;;
      *FAILED | *SUSPENDING | *SUSPENDED | *PREEMPTED | *TERMINATED) return 4 ;; # It never comes.
    esac
    if "$dry"; then return; fi
    sleep "$poll"
  done
}

delete() {
  if "$direct"; then
    tpus tpu-vm delete "$name" --quiet
  else
    tpus queued-resources delete "$name" --force --quiet
  fi
}

# ---- The hosts.
install() ( # in a shell of its own, which leaves no archive behind
  local here folder archive=promptax.tar.gz extras=tpu
  if [[ $workdir == gs:* ]]; then extras+=,gcs; fi
  local unpack="mkdir -p promptax && tar -xzf $archive -C promptax && cd promptax"
  # The images have Python 3.10; uv brings a newer one and needs no root.
  local python="python3 -m pip install --user --quiet uv"
  python+=" && python3 -m uv venv --quiet --allow-existing --python 3.12 .venv"
  python+=" && python3 -m uv pip install --quiet --python .venv/bin/python -e '.[$extras]'"
  local mount="mkdir -p runs"
  mount+=" && { mountpoint -q runs || gcsfuse --implicit-dirs $bucket runs; }"
  here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd) || return
  # A folder of our own: others may write to the one above it.
  folder=${TMPDIR:-/tmp}/promptax.XXXXXX
  if ! "$dry"; then
    folder=$(mktemp -d "$folder") || return
    # shellcheck disable=SC2064 # The folder's name is known now, and only here.
    trap "rm -rf -- ${folder@Q}" EXIT
  fi
  execute git -C "$here" archive --format=tar.gz "--output=$folder/$archive" HEAD &&
    copy "$folder/$archive" "$name:$archive" --worker=all &&
    on all "$unpack && $python${bucket:+ && $mount}"
)

check() {
  local python="from common.training.mesh import join_cluster; join_cluster(); import jax"
  python+="; print(\"host\", jax.process_index(), \"of\", jax.process_count(), \"sees\","
  python+=" jax.device_count(), \"chips,\", jax.local_device_count(), \"its own\")"
  on all "cd promptax && .venv/bin/python -c '$python'"
}

watch() {
  on all 'cd promptax && tail -n 20 train.log | sed "s/^/$(hostname): /"'
}

follow() {
  local text='cd promptax && tail -n 20 --pid="$(cat train.pid)" -F train.log 2> /dev/null'
  on all "$text"' | sed -u "s/^/$(hostname): /"'
}

fetch() {
  local from=$workdir to=${workdir#/}
  if [[ $from == gs:* ]]; then
    to=${to#gs://*/}
  elif [[ $from != /* ]]; then
    from=promptax/$from
  fi
  if [[ -e $to || -L $to ]]; then
    fail "'$to' is here already and is left alone: move it away first."
  fi
  execute mkdir -p "$(dirname "$to")"
  if [[ $from == gs:* ]]; then
    execute gcloud storage cp "$from" "$(dirname "$to")" --recursive \
      ${project:+"--project=$project"} "${wide[@]}"
  else
    copy "$name:$from" "$(dirname "$to")" --recurse --worker=0
  fi
}
