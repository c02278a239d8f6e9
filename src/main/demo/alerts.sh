# Says of each summary whether the server was calm or busy: busy at 80 % of a core and above.
cd "${PFS_ROOT:-/pfs}" || exit 1
for file in summary/*/*.json; do
  stretch=$(basename "$(dirname "$file")")
  mkdir -p "out/$stretch"
  cpu=$(sed 's/.*"cpu_percent":\([0-9]*\).*/\1/' "$file")
  if [ "$cpu" -ge 80 ]; then level=busy; else level=calm; fi
  printf '{"level":"%s","summary":%s}\n' "$level" "$(cat "$file")" > "out/$stretch/$(basename "$file")"
done
