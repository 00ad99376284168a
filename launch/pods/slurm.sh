#!/usr/bin/env bash
# One task on every GPU of two nodes; put back in the queue when preempted.
#
#   sbatch --nodes=2 launch/pods/slurm.sh launch.train --config=configs/librispeech.py \
#       --config.mesh.data=0 --data_dir=/corpora --workdir=/runs/ls
#
# Submit it from the repository, whose .venv every node sees. JAX takes the coordinator and each
# task's number from SLURM.
#SBATCH --job-name=jasr
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=8
#SBATCH --requeue
#SBATCH --signal=TERM@120
#SBATCH --open-mode=append
#SBATCH --output=jasr-%j.log
set -uo pipefail

srun --kill-on-bad-exit=0 .venv/bin/python -m "$@"
code=$?
# 0: done. 1: a mistake, which would be made again. Anything else: a host was lost or preempted.
if [[ $code -gt 1 ]]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
