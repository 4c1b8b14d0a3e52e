#!/usr/bin/env bash
# Fails when a source file has grown beyond 600 lines without saying why: a line "long file: <reason>" allows it.
set -euo pipefail

failed=0
while IFS= read -r file; do
    [ -f "$file" ] || continue
    lines=$(wc -l <"$file")
    if [ "$lines" -gt 600 ] && ! grep -q 'long file: ' "$file"; then
        echo "$file has $lines lines: split it, or say why not in a line 'long file: <reason>'" >&2
        failed=1
    fi
done < <(git ls-files '*.rs' '*.ts' '*.mjs' '*.css' '*.html' '*.sql' '*.sh')
exit "$failed"
