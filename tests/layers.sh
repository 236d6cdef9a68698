#!/bin/sh
# Who may include whom (README.md, "Layers"), read from the #include lines. Usage: layers.sh SOURCE_ROOT
set -eu
cd "$1"
status=0

# forbid FOLDER PATTERN: no file under FOLDER may include a path that matches PATTERN.
forbid() {
  [ -e "$1" ] || return 0
  found=$(grep -rnE "^#include \"($2)" "$1" --include='*.h' --include='*.cpp' --include='*.cu' --include='*.cuh' || true)
  if [ -n "$found" ]; then
    printf 'layers: %s must not include %s:\n%s\n' "$1" "$2" "$found"
    status=1
  fi
}

forbid kernels '(engine|models|data|tools|bench|tests)/'
forbid kernels/cpu 'kernels/(cuda|simt|ladder)/'
forbid kernels/cuda 'kernels/(cpu|ladder)/'
forbid kernels/ladder 'kernels/cpu/'
forbid engine '(models|data|tools|bench|tests)/|kernels/(cpu|cuda|simt|ladder)/'
forbid models '(data|tools|bench|tests)/|kernels/(cpu|cuda|simt|ladder)/'
forbid data '(models|tools|bench|tests)/|kernels/(cpu|cuda|simt|ladder)/'
forbid tools '(bench|tests)/|kernels/(cpu|cuda|simt|ladder)/'
for header in kernels/*.h; do
  case $(grep -cE '^#include "(kernels/(cpu|cuda|simt)|engine|models|data)/' "$header") in
    0) ;;
    *) echo "layers: $header includes more than the standard library and its siblings"; status=1 ;;
  esac
done
exit $status
