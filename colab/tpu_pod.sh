#!/usr/bin/env bash
# Creates, checks and drives a slice of TPU chips, from one to a v5e-256, by gcloud.
#
#   colab/tpu_pod.sh STEP --name=NAME --zone=ZONE [--type=TYPE] [--project=PROJECT] [--spot]
#     [--direct] [--bucket=BUCKET] [--module=MODULE] [--config=CONFIG] [--workdir=DIR] [--dry-run]
#
# Steps, in the order of a run:
#   create   asks for the slice: in the queue, or with --direct at once or not at all
#   state    says how the request stands
#   wait     waits until the slice is there
#   install  copies this checkout's last commit to every host and installs it
#   check    starts jax on every host; each must see all chips
#   run      starts the run on every host and comes back; what they print is in train.log
#   watch    shows the end of the first host's train.log
#   fetch    copies the work directory from the first host to here, where it must not be yet
#   delete   gives the slice back; until then it is paid for
#   again    after a preemption: state, delete, create, wait, install, run
#
# TYPE is v5litepod-N or v6e-N with N chips (1, 4, 8, 16, 32, 64, 128, 256), or v5p-N with N/2
# chips (N from 8). A bucket is mounted as the folder `runs` on every host, by gcsfuse, which
# must be there: slices of several hosts need it, and spot slices whose run is to outlive them.
# --dry-run prints the commands and runs none.
set -euo pipefail
LC_ALL=C # so that a-z are these letters alone

name="" zone="" type=v5litepod-8 project="" bucket=""
spot=false direct=false dry=false
module=mcti_jax.train config=configs/mcti.py workdir=runs/pod

fail() { # SENTENCE [STATUS]
  printf 'error: %s\n' "${1//[[:cntrl:]]/?}" >&2
  exit "${2:-2}"
}

step=${1:-}
case "$step" in
  create | state | wait | install | check | run | watch | fetch | delete | again) shift ;;
  -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0" && exit 0 ;;
  *) fail "'$step' is not a step: tpu_pod.sh --help lists them." ;;
esac
for option in "$@"; do
  case "$option" in
    --name=*) name=${option#*=} ;;
    --zone=*) zone=${option#*=} ;;
    --type=*) type=${option#*=} ;;
    --project=*) project=${option#*=} ;;
    --bucket=*) bucket=${option#*=} ;;
    --module=*) module=${option#*=} ;;
    --config=*) config=${option#*=} ;;
    --workdir=*) workdir=${option#*=} ;;
    --spot) spot=true ;;
    --direct) direct=true ;;
    --dry-run) dry=true ;;
    *) fail "'$option' is not an option: tpu_pod.sh --help lists them." ;;
  esac
done

[[ $name =~ ^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$ ]] ||
  fail "--name='$name': give small letters, digits and hyphens, a letter first."
[[ $zone =~ ^[a-z]+-[a-z]+[0-9]+-[a-z]$ ]] || fail "--zone='$zone': give a zone such as us-west4-a."
[[ -z $bucket || $bucket =~ ^[a-z0-9][-._a-z0-9]+[a-z0-9]$ ]] ||
  fail "--bucket='$bucket': give the name alone, without gs://."
[[ -z $project || $project =~ ^[a-z][-.:a-z0-9]+$ ]] ||
  fail "--project='$project': give the project's id."
[[ $module =~ ^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)*$ ]] ||
  fail "--module='$module': give a module such as mcti_jax.train."
[[ -n $config && $config != *[[:cntrl:]]* ]] ||
  fail "--config='$config': give a config file, e.g. configs/mcti.py:key=value."
# Neither hidden folders nor .. are among these, so a run stays below the folder it names.
[[ $workdir =~ ^/?[_a-zA-Z0-9][-._a-zA-Z0-9]*(/[_a-zA-Z0-9][-._a-zA-Z0-9]*)*$ ]] ||
  fail "--workdir='$workdir': letters, digits and -._/ only, and no name that begins with - or '.'."

[[ $type =~ ^[a-z0-9]+-[0-9]+$ ]] ||
  fail "--type='$type' is unknown: write v5litepod-N, v6e-N or v5p-N."
size=${type##*-}
case "$type" in
  v5litepod-*) runtime=v2-alpha-tpuv5-lite one_host=8 sizes=" 1 4 8 16 32 64 128 256 " ;;
  v6e-*) runtime=v2-alpha-tpuv6e one_host=8 sizes=" 1 4 8 16 32 64 128 256 " ;;
  v5p-*) runtime=v2-alpha-tpuv5 one_host=8 sizes=" 8 16 32 64 128 256 512 " ;;
  *) fail "--type='$type' is unknown: write v5litepod-N, v6e-N or v5p-N." ;;
esac
[[ $sizes == *" $size "* ]] || fail "--type='$type' has no such size: N is one of$sizes."

case "$workdir" in
  runs/*) shared=$bucket ;;
  /*) shared=$workdir ;; # The user's own shared disk.
  *) fail "--workdir='$workdir': give runs/NAME, or a full path on a disk that all hosts share." ;;
esac
if [[ $step == run || $step == again ]] && ((size > one_host)) && [[ -z $shared ]]; then
  fail "the hosts of $type share no folder: give --bucket=BUCKET, where checkpoints are kept."
fi

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
  execute gcloud compute tpus "$group" "$verb" "$@" "--zone=$zone" ${project:+"--project=$project"}
}

on() { # WORKER COMMAND
  tpus tpu-vm ssh "$name" "--worker=$1" "--command=$2" --quiet
}

create() {
  local tier=()
  if "$spot"; then tier=(--spot); fi
  if "$direct"; then
    tpus tpu-vm create "$name" "--accelerator-type=$type" "--version=$runtime" "${tier[@]}"
  else
    tpus queued-resources create "$name" "--node-id=$name" "--accelerator-type=$type" \
      "--runtime-version=$runtime" "${tier[@]}"
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
    now=$(state)
    printf '%s\n' "$now"
    case "$now" in
      *ACTIVE | *READY) return ;;
      *FAILED | *SUSPENDING | *SUSPENDED | *PREEMPTED)
        fail "$name will not come any more: delete it and create it again." 1
        ;;
    esac
    if "$dry"; then return; fi
    sleep 30
  done
}

install() {
  local here folder archive=promptax.tar.gz
  local unpack="mkdir -p promptax && tar -xzf $archive -C promptax && cd promptax"
  # The images have Python 3.10; uv brings a newer one and needs no root.
  local python="python3 -m pip install --user --quiet uv"
  python+=" && python3 -m uv venv --quiet --allow-existing --python 3.12 .venv"
  python+=" && python3 -m uv pip install --quiet --python .venv/bin/python -e '.[tpu]'"
  local mount="mkdir -p runs"
  mount+=" && { mountpoint -q runs || gcsfuse --implicit-dirs $bucket runs; }"
  here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
  # A folder of our own: others may write to the one above it.
  folder=${TMPDIR:-/tmp}/promptax.XXXXXX
  if ! "$dry"; then
    folder=$(mktemp -d "$folder")
    # shellcheck disable=SC2064 # The folder's name is known now, and only here.
    trap "rm -rf -- ${folder@Q}" EXIT
  fi
  execute git -C "$here" archive --format=tar.gz "--output=$folder/$archive" HEAD
  tpus tpu-vm scp "$folder/$archive" "$name:$archive" --worker=all --quiet
  on all "$unpack && $python${bucket:+ && $mount}"
}

check() {
  local python="from common.training.mesh import join_cluster; join_cluster(); import jax"
  python+="; print(\"host\", jax.process_index(), \"of\", jax.process_count(), \"sees\","
  python+=" jax.device_count(), \"chips,\", jax.local_device_count(), \"its own\")"
  on all "cd promptax && .venv/bin/python -c '$python'"
}

run() {
  local train
  train=$(printf '%q ' .venv/bin/python -m "$module" "--config=$config" "--workdir=$workdir")
  on all "cd promptax && (setsid nohup ${train}>> train.log 2>&1 < /dev/null &)"
}

fetch() {
  local from=$workdir to
  [[ $from == /* ]] || from=promptax/$from
  to=$(dirname "${workdir#/}")
  if [[ -e ${workdir#/} || -L ${workdir#/} ]]; then
    fail "'${workdir#/}' is here already and is left alone: move it away first."
  fi
  execute mkdir -p "$to"
  tpus tpu-vm scp "$name:$from" "$to" --recurse --worker=0 --quiet
}

delete() {
  if "$direct"; then
    tpus tpu-vm delete "$name" --quiet
  else
    tpus queued-resources delete "$name" --force --quiet
  fi
}

case "$step" in
  wait) wait_for_it ;;
  watch) on 0 "tail -n 20 promptax/train.log" ;;
  again)
    now=$(state)
    printf '%s\n' "$now"
    if [[ $now == *ACTIVE || $now == *READY ]]; then
      fail "$name is there and is left alone: delete it first if it is to go." 1
    fi
    delete
    create
    wait_for_it
    install
    run
    ;;
  *) "$step" ;;
esac
