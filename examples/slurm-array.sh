#!/usr/bin/env bash
# One shard of a long extraction for every task of a SLURM array.
#
#   export SOURCE=/data/photographs PARTS=/scratch/parts OPTIONS="--protocol clean"
#   job=$(sbatch --parsable --array=1-64 examples/slurm-array.sh)
#   sbatch --dependency=afterok:"$job" --wrap "ganeval merge $PARTS/part-*-of-64.npz -o reference.npz"
#
# Tasks that failed or were preempted are submitted again with the same line: shards that are whole are recognised, and
# nothing is read for them. Every task must see the same images, and SOURCE and PARTS must be reachable from every node.
#SBATCH --job-name=ganeval-extract
#SBATCH --cpus-per-task=8
#SBATCH --gres=gpu:1
#SBATCH --time=04:00:00
#SBATCH --requeue
set -euo pipefail

: "${SOURCE:?set SOURCE to the images, or to a generator}"
: "${PARTS:?set PARTS to the folder of the parts}"
: "${SLURM_ARRAY_TASK_ID:?submit this with sbatch --array=1-N}"
# Of how many: set it to submit some tasks alone, as in SHARDS=64 sbatch --array=3,17.
SHARDS=${SHARDS:-${SLURM_ARRAY_TASK_MAX:?}}
# Split at spaces on purpose: the same options for all shards.
read -ra OPTIONS <<<"${OPTIONS:-}"

mkdir -p "$PARTS"
# Long shards go on where they stopped: give them a cache that outlives the task.
export GANEVAL_CACHE=${GANEVAL_CACHE:-$PARTS/cache}
srun --ntasks=1 ganeval extract "$SOURCE" -o "$PARTS/part-$SLURM_ARRAY_TASK_ID-of-$SHARDS.npz" \
    --shard "$SLURM_ARRAY_TASK_ID/$SHARDS" --quiet ${OPTIONS[@]+"${OPTIONS[@]}"}
