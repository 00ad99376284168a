#!/usr/bin/env bash
# Runs one command on all workers of a Cloud TPU VM slice, again after a preemption.
#
#   launch/pods/cloud_tpu.sh TPU_NAME ZONE -- launch.train --config=configs/librispeech.py \
#       --config.mesh.preset=fsdp --config.mesh.data=1 --config.mesh.fsdp=0 \
#       --data_dir=/mnt/corpora --workdir=/mnt/runs/ls
#
# Every worker needs this repository in ~/jasr with its .venv (pip install -r requirements-tpu.txt)
# and the corpus under the same --data_dir; --workdir must be one folder that all of them see, on a
# disk or a bucket that each has mounted: a gs:// address is not understood.
# JAX asks the slice which workers there are. A slice that has been taken away must be made again
# (a queued resource does so by itself); until it is READY this script waits.
set -euo pipefail

if [[ $# -lt 4 || $3 != -- ]]; then
  sed -n '2,12s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
name=$1 zone=$2
shift 3
command=$(printf '%q ' "$@")

wait_until_ready() {
  until [[ $(gcloud compute tpus tpu-vm describe "$name" --zone="$zone" --format='value(state)') == READY ]]; do
    echo "$name is not ready: looking again in a minute" >&2
    sleep 60
  done
}

while true; do
  wait_until_ready
  code=0
  gcloud compute tpus tpu-vm ssh "$name" --zone="$zone" --worker=all \
    --command="cd ~/jasr && .venv/bin/python -m $command" || code=$?
  # 0: done. 1: a mistake, which would be made again. Anything else: a host was lost or preempted.
  if [[ $code -le 1 ]]; then
    exit "$code"
  fi
  echo "ended with $code: starting all workers again" >&2
done
