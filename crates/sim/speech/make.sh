#!/bin/sh
# Makes the samples beside this script out of phrases.json. Needs flite, sox and jq (Debian packages of those names).
#
# Each sample is 8 kHz mono 16-bit, trimmed to its sound, and has been through G.711 mu-law once: every sample
# is a value mu-law can express, so another mu-law round trip gives the same bytes. No dither, so that the same
# flite and sox give the same files again.
set -eu
cd "$(dirname "$0")"

voice() {
    case $1 in
    agent) echo slt ;;
    customer) echo rms ;;
    *) echo "no voice for the role $1" >&2; exit 1 ;;
    esac
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

jq -r '.[] | [.id, .role, .spoken] | @tsv' phrases.json | while IFS="$(printf '\t')" read -r id role spoken; do
    flite -voice "$(voice "$role")" -t "$spoken" -o "$work/wide.wav"
    sox -D -R "$work/wide.wav" -r 8000 -c 1 -e mu-law "$work/law.wav" \
        gain -n -9 silence 1 0.01 0.3% reverse silence 1 0.01 0.3% reverse
    sox -D -R "$work/law.wav" -e signed-integer -b 16 "$id.wav"
done
