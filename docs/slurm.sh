#!/bin/bash
# A training on 2 machines with 4 cards each, for Slurm: sbatch docs/slurm.sh
# The repository, its data and its runs must be on a disk that both machines share.
# Two minutes before its time is over Slurm sends SIGTERM and the training saves; submit it again and it goes on.
#SBATCH --job-name=transformer_mt
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=32
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@120
#SBATCH --open-mode=append
set -eu
export TORCH_ELASTIC_SHUTDOWN_TIMEOUT=100 # seconds to save in; torchrun's own default is 30 (read by torch 2.13)
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
# When a process dies, all are started again, up to three times, and go on from the last checkpoint.
srun --cpus-per-task="$SLURM_CPUS_PER_TASK" torchrun --nnodes "$SLURM_NNODES" --nproc-per-node 4 --max-restarts 3 \
    --rdzv-backend c10d --rdzv-endpoint "$first:29500" --rdzv-id "$SLURM_JOB_ID" \
    -m transformer_mt train configs/wmt14_en_fr_big.yaml
