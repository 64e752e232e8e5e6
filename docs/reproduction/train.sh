#!/usr/bin/env bash
# Train the CIFAR-10-LT runs one after the other; started again, goes on where it stopped.
# usage: train.sh IMAGES OUT      IMAGES/{train,test}/<class>/*.jpg; OUT holds the runs
# TAILSCAPE names the command (default: tailscape); TAILSCAPE_CORE pins it to one core (default: 0).
set -euo pipefail
images=$1 out=$2
export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1

run() { # name, method, further options
    local name=$1 method=$2
    shift 2
    nice -n 19 taskset -c "${TAILSCAPE_CORE:-0}" ${TAILSCAPE:-tailscape} train \
        --method "$method" --data "folder:$images" --imbalance 100 --seed 0 --epochs 200 \
        --precision bfloat16 --device cpu --eval-every 10 --out "$out/$name" "$@"
}

mkdir -p "$out"
run ce ce --recipe a --states 160
# until the weights come in, after epoch 160, ce-drw is ce
run ce-drw ce-drw --recipe a --fork "$out/ce/checkpoints/state_0160.pt"
run ce-drw+sam ce-drw+sam --recipe a --rho 0.5
run ldam-drw+sam ldam-drw+sam --recipe a
run la+focal-sam la+focal-sam --recipe b --rho 0.2
run crt-mixup+plot crt-mixup+plot --recipe d
