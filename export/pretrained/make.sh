#!/usr/bin/env bash
# Makes the weights of this folder: make.sh DATA OUT
#
# DATA holds 300W_LP/, ytf/ and mtfl/ as published. OUT gets records, runs and the models; the same
# command goes on where it was stopped. About four hours on two cores.
set -euo pipefail
data=$1 out=$2
mkdir -p "$out"
cd "$out"

records() { senet-landmark build-records "$@"; }
train() { senet-landmark train --loop.cache-mb 15000 --loop.ema-decay 0.999 "$@"; }

# Frontal photos; the same turned out of plane; frames of videos, a fifth of the people kept apart.
senet-landmark turn-views --root "$data/300W_LP" --views 1 --out turned
records --dataset 300w_lp --root "$data/300W_LP" --out records
records --dataset 300w_lp --root turned --out records-turned
records --dataset ytf --root "$data/ytf" --records.test 0.2 --out records-ytf

# A teacher, which labels MTFL.
senet-landmark train --records records --run start --steps 3100
train --records records --loop.more-records records-turned records-ytf --run teacher \
  --loop.start-from start --steps 7800 --schedule.initial 4e-3 --schedule.final 2e-4
senet-landmark freeze --run teacher --out teacher.pb
senet-landmark pseudo-label --dataset mtfl --root "$data/mtfl" --model teacher.pb --out labelled
records --dataset csv --root labelled --out records-labelled

# The large model goes on from the teacher, the small one from a short run of its own.
more=(records records-turned records-ytf records-ytf records-labelled)
train --records records --loop.more-records "${more[@]}" --run large-mirrored \
  --loop.start-from teacher --steps 8000 --schedule.initial 2e-3 --schedule.final 1e-5
senet-landmark train --preset senet_small --records records --run small-start --steps 3500
train --preset senet_small --records records --loop.more-records "${more[@]}" --run small-mirrored \
  --loop.start-from small-start --steps 4000 --schedule.initial 4e-3 --schedule.final 2e-5

# Last, without mirrored faces and made labels: annotations lie a little to one side, and the
# mean of a face and its mirror image does not.
last=(--loop.more-records records-turned records-ytf --augment.no-mirror --loop.no-keep-best
  --loop.validate-every 200 --schedule.initial 2e-4 --schedule.final 1e-5
  --schedule.warmup-steps 20 --loop.ema-decay 0.995)
train --records records --run large --loop.start-from large-mirrored --steps 600 "${last[@]}"
train --preset senet_small --records records --run small --loop.start-from small-mirrored \
  --steps 400 "${last[@]}"

for model in large small; do
  name=senet-68
  [ $model = small ] && name=senet-68-small
  senet-landmark freeze --run $model --out $name.pb
  senet-landmark convert --model $name.pb --to onnx
done
