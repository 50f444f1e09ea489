#!/usr/bin/env bash
# Installs the package as a container has it: container/install.sh TARGET PREFIX
#
# TARGET is `serve` (prediction and the service, no TensorFlow) or `train` (also records, training,
# freezing and conversion). PREFIX is a new folder for the virtual environment. PYTHON names the
# interpreter, by default python3. The last line tells what the environment takes on the disk.
set -euo pipefail

fail() {
  echo "install.sh: $1" >&2
  exit 2
}

[ $# = 2 ] || fail "give TARGET and PREFIX, as in: container/install.sh serve /opt/senet_landmark"
target=$1 prefix=$2
case $target in
  serve) extras=serve ;;
  train) extras=train,onnx,tflite ;;
  *) fail "unknown target '$target'; serve and train are known" ;;
esac
if [ -e "$prefix" ] && [ -n "$(ls -A "$prefix" 2>&1)" ]; then
  fail "$prefix: exists and is not empty; give a new folder"
fi
source=$(cd "$(dirname "$0")/.." && pwd)

# The interpreter's own pip installs into the environment, which then has no pip: what runs needs none.
python=${PYTHON:-python3}
"$python" -m venv --without-pip "$prefix"
# From a copy: a build writes into its source.
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
for part in setup.py pyproject.toml README.md LICENSE senet_landmark data_tools export; do
  cp -R "$source/$part" "$copy/$part"
done
"$python" -m pip --python "$prefix/bin/python" --quiet --disable-pip-version-check \
  install "$copy[$extras]"

# Tests of other packages, and headers and static libraries, which only a compiler needs.
packages=$("$prefix/bin/python" -c "import sysconfig; print(sysconfig.get_path('purelib'))")
find "$packages" -mindepth 2 -maxdepth 4 -type d -name tests -prune -exec rm -rf {} +
rm -rf "$packages/tensorflow/include"
find "$packages" -name "*.a" -delete

"$prefix/bin/senet-landmark" --help >/dev/null
echo "$target: $(du -sm "$prefix" | cut -f1) MB in $prefix"
