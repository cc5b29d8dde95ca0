#!/usr/bin/env bash
# The demo's methods over three seeds, each with machines, noise and draws of its own: trains what is missing, scores it,
# and writes outputs/seeds/tables/summary.md. Run it in the root of a checkout; a call that was cut off goes on.
set -euo pipefail
export OMP_NUM_THREADS=1
teacher=hub_cards/retainmix-beats-tiny-teacher
for seed in 0 1 2; do
    models=()
    for method in denoising tagging_0db mixture_0db both_0db; do
        student=outputs/seeds/$method-$seed
        models+=("$method=$student")
        [ -f "$student/model.safetensors" ] || accelerate launch train_accelerate.py --config $method demo \
            --model $teacher --seed $seed --benchmark_seed $seed --do_eval False --cpu_threads 1 --output_dir "$student"
    done
    python -m modeling_retainmix.evaluation.tables --output_dir outputs/seeds/tables --teacher $teacher \
        --models "${models[@]}" --seed $seed --benchmark_seed $seed --clip_seconds 4 --cpu_threads 1
done
