#!/usr/bin/env bash
# Trains the published systems as docs/networks.md tells of them, and measures them:
# published_systems.sh DATA OUT
#
# DATA holds 300W_LP/, 300w/, ytf/ and mtfl/ as published. OUT gets records, runs, models and
# figures. After a stop the same command goes on. All of it is about a day on two cores; the runs
# do not depend on each other, so parts of the list may be left out. Some runs of docs/networks.md
# ended before the steps that stand here (its table has the faces that each saw), and its second run
# of `asmnet_without_asm` is not here: it differs by where it was interrupted.
set -euo pipefail
data=$(realpath "$1")
here=$(realpath "$(dirname "$0")")
mkdir -p "$2"
cd "$2"

records() { # OUT OPTIONS; finished records are kept
  [ -e "$1/report.json" ] || senet-landmark build-records --out "$@"
}
run() { # NAME RECORDS OPTIONS: trains, unless it is done, and freezes
  local name=$1 records=$2
  shift 2
  [ -e "$name.pb" ] && return
  senet-landmark train --records "$records" --run "$name" "$@"
  senet-landmark freeze --run "$name" --out "$name.pb"
}

records records-300w --root "$data/300W_LP" --records.size 336
records records-original --root "$data/300W_LP" --preset senet_original
records records-photo --dataset mtfl --root "$data/mtfl" --preset tcdcn
records records-mtfl --dataset mtfl --root "$data/mtfl"
records records-person --dataset ytf --root "$data/ytf" --preset cnn --records.test 0.2
records records-frames --dataset ytf --root "$data/ytf" --preset cnn --records.split-by published

for name in tcdcn tcdcn_attributes tcdcn_pose tcdcn_landmarks; do
  run $name records-photo --preset $name
  run ${name}_augmented records-mtfl --preset ${name}_augmented --train.epochs 12 --train.patience 10
done
run cnn_person records-person --preset cnn
run cnn_frames records-frames --preset cnn
run senet_original records-original --preset senet_original --train.patience 10 --steps 6000
run senet_original_augmented records-300w --preset senet_original_augmented --steps 24000
for name in asmnet asmnet_without_asm asmnet_balanced; do
  run $name records-300w --preset $name --train.epochs 60
done
for name in pfld_025 pfld_025_unaugmented pfld_025_wing; do
  run $name records-300w --preset $name --train.epochs 170
done

on_helen=()
for name in senet_original senet_original_augmented asmnet asmnet_without_asm asmnet_balanced \
  pfld_025 pfld_025_unaugmented pfld_025_wing; do on_helen+=("$name.pb"); done
senet-landmark evaluate --model "${on_helen[@]}" senet-68 --on "300w=$data/300w/helen/testset" \
  --out figures-300w
# The first is what the others are beside.
for split in test validation; do
  senet-landmark evaluate --model tcdcn_landmarks.pb tcdcn_pose.pb tcdcn_attributes.pb tcdcn.pb \
    --records records-photo --split $split --out figures-mtfl-$split
  senet-landmark evaluate --model tcdcn_landmarks_augmented.pb tcdcn_pose_augmented.pb \
    tcdcn_attributes_augmented.pb tcdcn_augmented.pb --records records-mtfl --split $split \
    --out figures-mtfl-augmented-$split
done
senet-landmark evaluate --model cnn_person.pb --on records=records-person --out figures-ytf
senet-landmark evaluate --model cnn_frames.pb --on records=records-frames --out figures-frames
python "$here/published_curves.py" . --out curves.png
