#!/usr/bin/env bash
# The student that is shipped: the mean of the weights of five students of the pre-trained teacher, whose recipes and
# seeds differ. Trains what is missing, 14 minutes a student on one core, and writes outputs/retainmix-beats-tiny.
# Run it in the root of a checkout; call it again to resume.
#     benchmarks/shipped_student.sh
#     RUNS="tagging_0db-0 tagging_0db-1" benchmarks/shipped_student.sh    # other parts: RECIPE-SEED
set -euo pipefail
export OMP_NUM_THREADS=1
students=()
for run in ${RUNS:-tagging_0db-0 tagging_0db-1 tagging_0db-2 tagging_pm5db-0 tagging_pm10db-0}; do
    recipe=${run%-*} seed=${run##*-}
    student=outputs/students/$recipe-2000-$seed
    students+=("$student")
    [ -f "$student/model.safetensors" ] || accelerate launch train_accelerate.py \
        --config "$recipe" benchmarks/student_queue.yaml --model hub_cards/retainmix-beats-tiny-teacher \
        --output_dir "$student" --seed "$seed" --benchmark_seed "$seed" --max_steps 2000 --do_eval False \
        --use_cpu True --bf16 True --cpu_threads 1 --resume_from_checkpoint True
done
retainmix average "${students[@]}" --output outputs/retainmix-beats-tiny
