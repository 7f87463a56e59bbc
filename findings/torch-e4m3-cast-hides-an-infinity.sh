#!/usr/bin/env bash
# torch: an infinite value becomes 448 when it is cast to float8_e4m3fn, and then nothing shows that it was one.
#
# E4M3 has no infinity. The paper of the format (arXiv 2209.05433) turns a special value into the special value
# of FP8, so an infinity into NaN, and saturates finite values only. torch's cast saturates both. Its other
# eight-bit floats do not: e5m2 keeps the infinity, e4m3fnuz and e5m2fnuz give NaN, and finite values beyond the
# range become infinity or NaN there. ml_dtypes (JAX, TensorFlow) gives NaN for an e4m3fn, finite or not.
# Who quantizes a tensor with a fixed scale and then looks for NaN or infinity in the result, as a check that a
# training has not diverged, finds none with e4m3fn and finds them with the other three: check before the cast.
#
# Observed with torch 2.13.0 (CPU) and ml_dtypes 0.6.0, Python 3.11: 1e6, infinity, NaN cast to each type
#   torch float8_e4m3fn [448.0, 448.0, nan]
#   torch float8_e4m3fnuz [nan, nan, nan]
#   torch float8_e5m2 [inf, inf, nan]
#   torch float8_e5m2fnuz [nan, nan, nan]
#   ml_dtypes float8_e4m3fn [nan, nan, nan]
# The exit code is 1 if this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 ml_dtypes==0.6.0 numpy==2.4.6 2> /dev/null
got=$("$folder/venv/bin/python" - <<'PYTHON'
import ml_dtypes
import numpy as np
import torch

values = [1e6, float("inf"), float("nan")]
for name in ("float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz"):
    print("torch", name, torch.tensor(values).to(getattr(torch, name)).float().tolist())
cast = np.array(values, dtype=np.float32).astype(ml_dtypes.float8_e4m3fn)
print("ml_dtypes float8_e4m3fn", cast.astype(np.float32).tolist())
PYTHON
)
echo "$got"
[[ "$got" == "torch float8_e4m3fn [448.0, 448.0, nan]
torch float8_e4m3fnuz [nan, nan, nan]
torch float8_e5m2 [inf, inf, nan]
torch float8_e5m2fnuz [nan, nan, nan]
ml_dtypes float8_e4m3fn [nan, nan, nan]" ]]
