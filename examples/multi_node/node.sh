#!/usr/bin/env bash
# One node of a training over several: run this on every node at the same time.
#   NUM_NODES=2 NODE_RANK=0 HEAD=10.0.0.1 GPUS=8 examples/multi_node/node.sh --config both_0db --model FOLDER ...
# Every node needs the same package, the same options and its own copy of the data (or a shared --cache_dir).
set -euo pipefail
: "${NUM_NODES:?number of nodes}" "${NODE_RANK:?number of this node, from 0}" "${HEAD:?address of node 0}"
GPUS=${GPUS:-1}
exec accelerate launch \
  --multi_gpu \
  --num_machines "$NUM_NODES" \
  --num_processes "$((NUM_NODES * GPUS))" \
  --machine_rank "$NODE_RANK" \
  --main_process_ip "$HEAD" \
  --main_process_port "${PORT:-29500}" \
  --rdzv_backend static \
  --mixed_precision "${PRECISION:-bf16}" \
  -m modeling_retainmix.training.main "$@"
