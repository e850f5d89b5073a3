#!/bin/bash
# A training on 2 machines with 4 cards each, for Slurm: sbatch scripts/slurm.sh my.yaml
# The environment of transformer-mt must be active; data and runs must be on a disk that the machines share.
# Two minutes before its time is over Slurm sends SIGTERM, the training saves, and the job queues again to go on.
# Submitted again by hand, it goes on as well.
#SBATCH --job-name=transformer_mt
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=32
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -eu
config=${1:?give a configuration: sbatch scripts/slurm.sh my.yaml}
export TORCH_ELASTIC_SHUTDOWN_TIMEOUT=100 # seconds to save in; torchrun's own default is 30 (read by torch 2.13)
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
run_dir=$(python -m transformer_mt config show "$config" | sed -n 's/^  run_dir: //p' | tr -d '"')
processes=${SLURM_GPUS_PER_NODE:-4} # as 4 or h200:4

# When a process dies, all are started again, up to three times, and go on from the last checkpoint.
code=0
srun --cpus-per-task="$SLURM_CPUS_PER_TASK" torchrun \
    --nnodes "$SLURM_NNODES" --nproc-per-node "${processes##*:}" --max-restarts 3 \
    --rdzv-backend c10d --rdzv-endpoint "$first:$((20000 + SLURM_JOB_ID % 20000))" --rdzv-id "$SLURM_JOB_ID" \
    -m transformer_mt train "$config" || code=$?

# A training that was stopped says so in the last line of its log; one that failed must not queue again.
if [ "$code" != 0 ] && tail -n 1 "$run_dir/log.txt" | grep -q 'SIGTERM: saved' &&
    [ "${SLURM_RESTART_COUNT:-0}" -lt 100 ]; then
    echo "stopped and saved; the job queues again"
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
