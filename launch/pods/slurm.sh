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

# srun tells the highest code alone; of a mistake (1) all others end as if a host were lost.
export JASR_MISTAKE=$PWD/jasr-$SLURM_JOB_ID.mistake
srun --kill-on-bad-exit=0 --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" bash -c '
  trap : TERM  # It is for the training, which saves.
  .venv/bin/python -m "$@"
  code=$?
  if [[ $code -eq 1 ]]; then touch "$JASR_MISTAKE"; fi
  exit "$code"' task "$@"
code=$?
# A mistake would be made again. Anything else but 0: a host was lost or preempted.
if [[ -e $JASR_MISTAKE ]]; then
  rm -f "$JASR_MISTAKE"
  exit 1
fi
if [[ $code -ne 0 ]]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
