#!/bin/bash
# arXiv:2408.10536's run on a Slurm cluster: each variant of studies/paper.toml on many GPUs, then one table.
#
#     sbatch examples/paper_on_a_cluster.sh studies/paper.toml "hybrid" 0      # one variant with one seed
#     mixling study studies/paper.toml                                         # when all are there: measure, one table
#
# A job that is cut off is queued again and goes on at its last checkpoint; on another number of GPUs the batches, and so the
# run, stay the same. The data lies where MIXLING_DATA says, on a disk that all nodes see, as does the working folder.
#SBATCH --job-name=mixling
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --time=24:00:00
#SBATCH --requeue
set -euo pipefail

study=$1 variant=$2 seed=${3:-0}
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
srun torchrun \
    --nnodes "$SLURM_NNODES" --nproc-per-node "${SLURM_GPUS_ON_NODE:-1}" \
    --rdzv-id "$SLURM_JOB_ID" --rdzv-backend c10d --rdzv-endpoint "$first:${PORT:-29500}" \
    -m mixling train "$study" --variant "$variant" --seed "$seed"
