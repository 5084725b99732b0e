#!/usr/bin/env bash
# A release gate from a plain shell: for any CI that can run a script. What it is given goes to `topup-chaos gate`.
#
#   GATE_STATE   a folder that is kept between builds (a cache): the last gate, so that what it found is told as ongoing
#   GATE_OUT     where the reports are written; latest/ in it is this gate's: gate.html, findings.sarif, junit.xml, summary.md
#   TOPUP_CHAOS  the program, where it is not on the path
#
# Exit codes: 0 holds · 1 broken · 2 wrong usage or configuration · 3 unknown. Only 0 is a release.
set -euo pipefail

state=${GATE_STATE:-.topup-chaos}
out=${GATE_OUT:-reports/runs}
program=${TOPUP_CHAOS:-topup-chaos}

arguments=(gate --out "$out")
if [ -f "$state/gate.json" ]; then
  arguments+=(--previous "$state/gate.json")
fi

code=0
"$program" "${arguments[@]}" "$@" || code=$?

case $code in
  0 | 1 | 3) # it came to a verdict, so there is something to remember
    mkdir -p "$state"
    cp "$out/latest/gate.json" "$state/gate.json"
    ;;
esac
exit "$code"
