#!/usr/bin/env bash
# Fuzzes each target, or those named, for some seconds (FUZZ_SECONDS, 60): libFuzzer, on the stable compiler, whose coverage pass needs no
# other. What was found before is gone on from; what fails is kept beside it and named.
set -euo pipefail

cd "$(dirname "$0")/../fuzz"
seconds=${FUZZ_SECONDS:-60}
target=$(rustc -vV | sed -n 's/^host: //p')
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-../target}/fuzz
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing"
# With an explicit target, build scripts and macros are not instrumented.
cargo build --release --locked --target "$target"
for name in ${@:-$(basename -s .rs src/bin/*.rs)}; do
    mkdir -p "corpus/$name"
    words=()
    [ ! -f "$name.dict" ] || words=(-dict="$name.dict")
    echo "fuzzing $name for $seconds seconds"
    "$CARGO_TARGET_DIR/$target/release/$name" -max_total_time="$seconds" -max_len=4096 -timeout=10 \
        -artifact_prefix="corpus/$name-" -print_final_stats=1 -verbosity=0 "${words[@]}" "corpus/$name"
done
