#!/usr/bin/env bash
# Methods of the paper over three seeds, each with other machines, noise and draws, from one teacher that tagging has
# taught, on factory version 3: train what is missing, score it, and write outputs/seeds-STEPS/tables/summary.md.
# Run it in the root of a checkout; call it again to resume.
#     benchmarks/demo_seeds.sh                  # every method, 300 steps
#     benchmarks/demo_seeds.sh 2000 both_0db    # one method, trained longer
#     SEEDS="3 4" benchmarks/demo_seeds.sh      # other seeds
set -euo pipefail
export OMP_NUM_THREADS=1
steps=${1:-300}
methods=("${@:2}")
[ $# -gt 1 ] || methods=(denoising tagging_0db mixture_0db both_0db)
teacher=outputs/seeds-tagging-teacher
train() {
    accelerate launch train_accelerate.py --config "$1" demo --factory_config '{"version": 3}' --embedding_layer 2 \
        --warmup_steps 30 --do_eval False --cpu_threads 1 "${@:2}"
}
[ -f $teacher/model.safetensors ] ||
    train tagging_0db --train_teacher True --teacher_steps 3000 --max_steps 1 --output_dir ${teacher%-teacher}
for seed in ${SEEDS:-0 1 2}; do
    models=()
    for method in "${methods[@]}"; do
        student=outputs/seeds-$steps/$method-$seed
        models+=("$method=$student")
        [ -f "$student/model.safetensors" ] || train "$method" --model $teacher --seed $seed --benchmark_seed $seed \
            --max_steps "$steps" --output_dir "$student"
    done
    python -m modeling_retainmix.evaluation.paper.tables --output_dir "outputs/seeds-$steps/tables" --teacher $teacher \
        --models "${models[@]}" --seed $seed --benchmark_seed $seed --clip_seconds 4 --cpu_threads 1 \
        --factory_config '{"version": 3}'
done
