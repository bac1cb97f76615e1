#!/usr/bin/env bash
# Creates, checks and drives a slice of TPU chips, from one to a v5e-256, by gcloud.
#
#   colab/tpu_pod.sh STEP --name=NAME --zone=ZONE [--type=TYPE] [--project=PROJECT] [--spot]
#     [--direct] [--bucket=BUCKET] [--module=MODULE] [--config=CONFIG] [--workdir=DIR]
#     [--retry[=N]] [--dry-run] [-- FLAGS OF GCLOUD]
#
# Steps, in the order of a run:
#   create   asks for the slice: in the queue, or with --direct at once or not at all
#   state    says how the request stands
#   wait     waits until the slice is there
#   install  copies this checkout's last commit to every host and installs it
#   check    starts jax on every host; each must see all chips
#   run      starts the run on every host and comes back; what they print is in train.log.
#            Where a run goes on already, none is started. With --retry it stays until the
#            run is finished: after a preemption it does `again`, up to N times (10)
#   watch    shows the end of every host's train.log, each line behind its host's name
#   follow   shows it as it grows, until the run ends or Ctrl-C
#   stop     lets the run save a checkpoint and end, as a preemption does
#   fetch    copies the work directory to here, where it must not be yet
#   delete   gives the slice back; until then it is paid for
#   again    after a preemption: state, delete, create, wait, install, run
#
# TYPE is v5litepod-N or v6e-N with N chips (1, 4, 8, 16, 32, 64, 128, 256), or v5p-N with N/2
# chips (N from 8). The work directory of several hosts, or of a run that is to outlive its
# hosts, lies in a bucket: --workdir=gs://BUCKET/FOLDER. With --bucket a bucket is mounted as
# the folder `runs` on every host instead, by gcsfuse, which must be there.
# Flags behind -- go on to gcloud: those of a login to ssh and scp, gcloud-wide ones to every
# command, all others to create.
# --dry-run prints the commands and runs none.
#
# shellcheck disable=SC2034,SC1091 # tpu_pod_steps.sh and tpu_pod_run.sh use what is set here.
set -euo pipefail
LC_ALL=C # so that a-z are these letters alone

name="" zone="" type=v5litepod-8 project="" bucket=""
spot=false direct=false dry=false retries=0
module=mcti_jax.train config=configs/mcti.py workdir=runs/pod
wide=() login=() ssh=() scp=() creation=() # flags of gcloud

fail() { # SENTENCE [STATUS]
  printf 'error: %s\n' "${1//[[:cntrl:]]/?}" >&2
  exit "${2:-2}"
}

step=${1:-}
case "$step" in
  create | state | wait | install | check | run | watch | follow | stop | fetch | delete | again)
    shift
    ;;
  -h | --help) sed -n '2,/^# shellcheck/{/^# shellcheck/d;s/^# \{0,1\}//;p}' "$0" && exit 0 ;;
  *) fail "'$step' is not a step: tpu_pod.sh --help lists them." ;;
esac
while (($#)); do
  option=$1
  shift
  case "$option" in
    --name=*) name=${option#*=} ;;
    --zone=*) zone=${option#*=} ;;
    --type=*) type=${option#*=} ;;
    --project=*) project=${option#*=} ;;
    --bucket=*) bucket=${option#*=} ;;
    --module=*) module=${option#*=} ;;
    --config=*) config=${option#*=} ;;
    --workdir=*) workdir=${option#*=} ;;
    --retry=*) retries=${option#*=} ;;
    --retry) retries=10 ;;
    --spot) spot=true ;;
    --direct) direct=true ;;
    --dry-run) dry=true ;;
    --)
      (($#)) || fail "'--' is not an option by itself: write flags of gcloud behind it."
      break
      ;;
    *) fail "'$option' is not an option: tpu_pod.sh --help lists them, gcloud's go behind --." ;;
  esac
done
for flag in "$@"; do
  [[ $flag =~ ^--[a-z][-a-z]*(=.*)?$ && $flag != *[[:cntrl:]]* ]] ||
    fail "'$flag' behind -- is not a flag of gcloud: write --flag or --flag=value."
  case "${flag%%=*}" in
    --zone | --project | --spot)
      fail "'$flag' behind -- is an option of tpu_pod.sh itself: give it in front of --."
      ;;
    --worker | --command | --format | --quiet | --recurse | --force | --async | --dry-run | \
      --node-* | --accelerator-type | --version | --runtime-version | --help)
      fail "'$flag' behind -- is what tpu_pod.sh decides: leave it out."
      ;;
    --account | --access-token-file | --billing-project | --configuration | --verbosity | \
      --impersonate-service-account | --log-http | --user-output-enabled | --trace-token)
      wide+=("$flag")
      ;;
    --internal-ip | --ssh-key-* | --strict-host-key-checking | --force-key-file-overwrite | --plain)
      login+=("$flag")
      ;;
    --ssh-flag) ssh+=("$flag") ;;
    --scp-flag) scp+=("$flag") ;;
    *) creation+=("$flag") ;;
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
[[ $retries =~ ^[0-9]{1,3}$ && ($retries == 0 || $retries != 0*) ]] ||
  fail "--retry='$retries': give how often the slice may be made again, up to 999."
# Neither hidden folders nor .. are among these, so a run stays below the folder it names.
folders='[_a-zA-Z0-9][-._a-zA-Z0-9]*(/[_a-zA-Z0-9][-._a-zA-Z0-9]*)*'
if [[ $workdir == gs:* ]]; then
  [[ $workdir =~ ^gs://[a-z0-9][-._a-z0-9]{1,220}[a-z0-9]/$folders$ ]] ||
    fail "--workdir='$workdir': give gs://BUCKET/FOLDER, of letters, digits and -._/ only."
  [[ -z $bucket ]] ||
    fail "--bucket='$bucket': --workdir names a bucket itself, so leave one of them out."
else
  [[ $workdir =~ ^/?$folders$ ]] ||
    fail "--workdir='$workdir': letters, digits, -._/ only, and no name that begins with - or '.'."
fi

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
  /* | gs://*) shared=$workdir ;; # The user's own shared disk, or a bucket.
  *) fail "--workdir='$workdir': give runs/NAME, gs://BUCKET/FOLDER, or a path on a shared disk." ;;
esac
if [[ $step == run || $step == again ]] && ((size > one_host)) && [[ -z $shared ]]; then
  fail "the hosts of $type share no folder: give --workdir=gs://BUCKET/FOLDER or --bucket=BUCKET."
fi
if ((retries)); then
  [[ $step == run ]] || fail "--retry belongs to the step run: leave it out."
  [[ -n $shared ]] ||
    fail "--retry goes on from a work directory that outlives its hosts: give gs://BUCKET/FOLDER."
fi
case "$spot ${creation[*]-} " in
  true* | *" --preemptible "* | *" --best-effort "* | *" --provisioning-model=SPOT "* | \
    *" --provisioning-model=spot "*)
    if [[ -z $shared && ($step == create || $step == run || $step == again) ]]; then
      printf 'warning: %s\n' "$name may be taken away, and its checkpoints with it: give \
--workdir=gs://BUCKET/FOLDER to keep them." >&2
    fi
    ;;
esac

folder=$(dirname "${BASH_SOURCE[0]}")
source "$folder/tpu_pod_steps.sh"
source "$folder/tpu_pod_run.sh"

case "$step" in
  wait)
    status=0
    wait_for_it || status=$?
    ((status != 4)) || fail "$name will not come any more: delete it and create it again." 1
    exit "$status"
    ;;
  run) if ((retries)); then run_and_retry; else run; fi ;;
  again)
    now=$(state)
    printf '%s\n' "$now"
    if [[ $now == *ACTIVE || $now == *READY ]]; then
      fail "$name is there and is left alone: delete it first if it is to go." 1
    fi
    make_again || fail "$name is not there again: see above." 1
    ;;
  *) "$step" ;;
esac

