# One line for each stretch of metrics: the worst lag, the busiest moment, the requests in all.
cd "${PFS_ROOT:-/pfs}" || exit 1
for file in metrics/*/*; do
  stretch=$(basename "$(dirname "$file")" .ndjson)
  mkdir -p "out/$stretch"
  awk '
    function field(name,  at) {
      at = match($0, "\"" name "\":[0-9.]+")
      return at ? substr($0, RSTART + length(name) + 3, RLENGTH - length(name) - 3) + 0 : 0
    }
    { lines++; requests += field("requests") }
    field("loop_lag_ms") > lag { lag = field("loop_lag_ms") }
    field("cpu_percent") > cpu { cpu = field("cpu_percent") }
    field("memory_mb") > memory { memory = field("memory_mb") }
    END {
      printf "{\"lines\":%d,\"loop_lag_ms\":%.1f,\"cpu_percent\":%d,\"memory_mb\":%d,\"requests\":%d}\n",
        lines, lag, cpu, memory, requests
    }
  ' "$file" > "out/$stretch/$(basename "$file" .ndjson).json"
done
