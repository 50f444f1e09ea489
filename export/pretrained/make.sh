#!/usr/bin/env bash
# Makes the weights of this folder: make.sh DATA OUT
#
# DATA holds 300W_LP/, ytf/ and mtfl/ as published, and aflw2000_3d/ (AFLW2000-3D as a `csv` data set
# with `depth.npz`). OUT gets records, runs and the models. After a stop the same command goes on. It
# takes four to eight hours on two cores, depending on their load.
set -euo pipefail
data=$(realpath "$1")
here=$(realpath "$(dirname "$0")")
mkdir -p "$2"
cd "$2"

records() { # OUT OPTIONS; finished records are kept
  [ -e "$1/report.json" ] || senet-landmark build-records --out "$@"
}
label() { # NAME DATASET ROOT MODELS
  [ -e "labelled-$1/report.json" ] ||
    senet-landmark pseudo-label --dataset "$2" --root "$3" --out "labelled-$1" --model "${@:4}"
  records "records-$1" --dataset csv --root "labelled-$1"
}
freeze() { senet-landmark freeze --run "$1" --out "$1.pb"; }
train() { senet-landmark train --records records --train.cache-mb 15000 "$@"; }
mixed() { train --train.ema-decay 0.999 --train.more-records "$@"; }
attributes() { # RECORDS OPTIONS
  senet-landmark train --records "$1" --train.cache-mb 15000 \
    --network.attributes gender smile glasses head_pose --loss.attribute-weights 4 4 4 4 "${@:2}"
}
slow=(--schedule.initial 2e-3 --schedule.final 1e-5)
# The last steps use no mirrored faces and, except for attributes, no pseudo-labels: annotations have
# a small bias to one side, which the mean of a face and its mirror image does not have.
unmirrored=(--augment.no-mirror --train.no-keep-best --schedule.final 1e-5 --schedule.warmup-steps 50
  --train.ema-decay 0.998)
last() { train --train.more-records records-turned records-ytf "${unmirrored[@]}" "$@"; }

# Frontal photos; the same faces turned out of plane; video frames, a fifth of the people held out.
senet-landmark turn-views --root "$data/300W_LP" --views 1 --out turned
records records --dataset 300w_lp --root "$data/300W_LP"
records records-turned --dataset 300w_lp --root turned
records records-ytf --dataset ytf --root "$data/ytf" --records.test 0.2

# A teacher labels MTFL. The large model starts from the teacher, labels MTFL again, and is trained on.
train --run start --steps 3100
mixed records-turned records-ytf \
  --run teacher --train.start-from start --steps 7800 --schedule.initial 4e-3 --schedule.final 2e-4
freeze teacher
label mtfl-by-teacher mtfl "$data/mtfl" teacher.pb
mixed records records-turned records-ytf records-ytf records-mtfl-by-teacher \
  --run first-mirrored --train.start-from teacher --steps 8000 "${slow[@]}"
last --run first --train.start-from first-mirrored --steps 3600 --schedule.initial 5e-4
freeze first
label mtfl-by-first mtfl "$data/mtfl" first.pb
mixed records records-turned records-ytf records-ytf records-mtfl-by-first \
  --run mirrored --train.start-from first --steps 10000 "${slow[@]}"
last --run second --train.start-from mirrored --steps 3000 --schedule.initial 5e-4
freeze second

# Large poses and more light: the same faces turned to 88 degrees, and AFLW2000-3D's training part.
# Its contour and `pts_3d` of turned faces follow the true jaw; where records follow the other
# convention, the contour is unknown. The mean of the weights before and after keeps what the first
# could.
senet-landmark turn-views --root "$data/300W_LP" --views 3 --max-yaw 88 --out turned-far
records records-turned-far --dataset 300w_lp --root turned-far
records records-turned-3d --dataset 300w_lp --root turned-far --points pts_3d
records records-aflw --dataset csv --root "$data/aflw2000_3d" --points 300w_68_3d \
  --records.photos-of aflw2000
label mtfl-by-second mtfl "$data/mtfl" second.pb
light=(--augment.light 0.45)
mixed records records records records-turned-far records-ytf records-ytf records-mtfl-by-second \
  records-aflw records-aflw \
  --run far-mirrored --train.start-from second.pb --steps 4000 "${slow[@]}" "${light[@]}" \
  --train.no-keep-best
train --train.more-records records records-turned-far records-ytf records-aflw "${unmirrored[@]}" \
  --run far --train.start-from far-mirrored --steps 1300 --schedule.initial 5e-4 "${light[@]}"
freeze far
average() { # BEFORE AFTER SHARE OUT RECORDS
  [ -e "$4" ] || python "$here/../../benchmarks/shipped/average_models.py" "$1" "$2" \
    --share "$3" --out "$4" --records "${@:5}"
}
visible=(records records-turned-far records-ytf)
average second.pb far.pb 0.5 third.pb "${visible[@]}"

# Lips of other tones and heights, and the mean again.
lips() { # OUT START STEPS RATE SHARE
  train --train.more-records records records-turned-far records-ytf records-aflw records-aflw \
    "${unmirrored[@]}" "${light[@]}" --run "$1" --train.start-from "$PWD/$2" --steps "$3" \
    --schedule.initial "$4" --augment.lips "$5"
  freeze "$1"
}
lips lips-first third.pb 1800 7e-4 0.5
lips lips lips-first.pb 1600 6e-4 0.6
average third.pb lips.pb 0.7 senet-68.pb "${visible[@]}"

# With the true jaw and depth, in the same way.
deep=(--preset senet_3d --records records-aflw --train.more-records records-aflw records-aflw
  records-turned-3d records)
senet-landmark train "${deep[@]}" --run deep --train.start-from "$PWD/second.pb" --steps 2500 \
  --schedule.initial 1e-3 --schedule.final 1e-5
freeze deep
senet-landmark train "${deep[@]}" records "${unmirrored[@]}" --run deep-lips --steps 1500 \
  --train.start-from "$PWD/deep.pb" --schedule.initial 6e-4 "${light[@]}" --augment.lips 0.5
freeze deep-lips
average deep.pb deep-lips.pb 0.7 senet-68-3d.pb records-aflw records-turned-3d records

# The large model labels MTFL and 300W. The model with attributes learns from the labels of MTFL, at
# the end from those of two models; the small model from those of one and the annotations.
label mtfl mtfl "$data/mtfl" senet-68.pb
label 300w 300w_lp "$data/300W_LP" senet-68.pb
label mtfl-by-two mtfl "$data/mtfl" senet-68.pb lips.pb
attributes records-mtfl --run attributes-mirrored --train.start-from "$PWD/senet-68.pb" \
  --steps 3000 "${slow[@]}" --train.ema-decay 0.999 \
  --train.more-records records-mtfl records records-ytf
attributes records-mtfl --run attributes-before --train.start-from attributes-mirrored \
  --steps 1500 --schedule.initial 5e-4 "${unmirrored[@]}" \
  --train.more-records records records records records-turned records-ytf records-ytf
freeze attributes-before
attributes records-mtfl-by-two --run attributes-lips --train.start-from "$PWD/attributes-before.pb" \
  --steps 1400 --schedule.initial 6e-4 "${unmirrored[@]}" "${light[@]}" --augment.lips 0.5 \
  --train.more-records records records records records-turned-far records-ytf records-ytf records-aflw
freeze attributes-lips
average attributes-before.pb attributes-lips.pb 0.5 senet-68-attributes.pb "${visible[@]}"
train --preset senet_small --run small-start --steps 3500
mixed records records-300w records-300w records-turned records-ytf records-ytf records-mtfl \
  --preset senet_small --run small-mirrored --train.start-from small-start --steps 35000 \
  --schedule.initial 4e-3 --schedule.final 1e-5
last --preset senet_small --run small-before --train.start-from small-mirrored --steps 1500 \
  --schedule.initial 4e-4
freeze small-before
small=(--preset senet_small "${light[@]}" --augment.lips 0.4 --train.no-keep-best)
mixed records-300w records-300w records-turned-far records-ytf records-ytf records-mtfl records-aflw \
  records-aflw "${small[@]}" --run small-lips-mirrored --train.start-from "$PWD/small-before.pb" \
  --steps 6000 --schedule.initial 2.5e-3 --schedule.final 1e-5
train --train.more-records records records-turned-far records-ytf records-aflw "${small[@]}" \
  "${unmirrored[@]}" --run small-lips --train.start-from small-lips-mirrored --steps 1200 \
  --schedule.initial 4e-4
freeze small-lips
average small-before.pb small-lips.pb 0.5 senet-68-small.pb "${visible[@]}"

for name in senet-68 senet-68-small senet-68-3d senet-68-attributes; do
  senet-landmark convert --model $name.pb --to onnx
done
