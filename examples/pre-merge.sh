#!/usr/bin/env bash
# Measure the generator, and let the exit code say whether it may be merged.
#
#   REAL=photographs/ FAKE=py:gan.py:generator examples/pre-merge.sh
#
# As a git hook: cp examples/pre-merge.sh .git/hooks/pre-push
# Exit codes: 0 may be merged, 1 regressed, 2 could not be measured or had no baseline, 3 measured otherwise than the
# baseline, 5 a metric is missing, 6 nothing can be told.
set -euo pipefail

: "${REAL:?set REAL to the real images}"
: "${FAKE:?set FAKE to the samples, or to a generator}"
BASELINE=${BASELINE:-gan-baseline.json}
RESULT=${RESULT:-gan-result.json}
# Split at spaces on purpose: options for the measurement, such as --extractor digits --num-samples 500.
read -ra OPTIONS <<<"${OPTIONS:-}"

# Measuring fails with 1 where a check says "regressed": tell the two apart.
ganeval score "$REAL" "$FAKE" --metrics fid,kid --output "$RESULT" --quiet ${OPTIONS[@]+"${OPTIONS[@]}"} || exit 2

if [ ! -e "$BASELINE" ]; then
    ganeval baseline update "$RESULT" --baseline "$BASELINE"
    echo "There was no baseline, so nothing was compared: this result is it now. Commit $BASELINE, and try again."
    exit 2
fi
ganeval check "$RESULT" --baseline "$BASELINE"
